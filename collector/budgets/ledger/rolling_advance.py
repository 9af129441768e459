"""Moving a rolling window on, by some sums at a time."""

from collector.budgets.ledger.rolling_sums import RollingSums, add_to
from collector.budgets.periods import Period
from collector.slices import pop_slice

_SUMS = 250


def advance(sums: RollingSums, window: Period) -> bool:
    """Move the window on by some sums; whether it is there."""
    step = sums.schedule.step_ns
    if sums.end < window.end:
        if sums.end and _enter(sums, sums.end - step):
            return False
        # The next step is entered, or all before the first one that waits.
        waiting = [start for start in sums.ahead if start < window.end]
        sums.end = min(waiting) + step if waiting else window.end
        return False
    if sums.ahead and _enter(sums, sums.end - step):
        return False
    if leaving := sums.steps_between(sums.begin, window.start):
        _leave(sums, min(leaving))
        return False
    sums.begin = max(sums.begin, window.start)
    return _expire(sums, window.start - sums.schedule.memory_ns)


def _enter(sums: RollingSums, start: int) -> bool:
    """Move some sums of a step out of `future`; False when there are none."""
    ahead = sums.ahead.get(start)
    if ahead is None:
        return False
    for scope, amount in pop_slice(ahead, _SUMS):
        sums.size -= 1
        sums.size += add_to(sums.future, scope, amount, -1)
    if not ahead:
        del sums.ahead[start]
    return True


def _leave(sums: RollingSums, start: int) -> None:
    """Move some sums of the window's first step into `past`."""
    cells = sums.steps[start]
    past = sums.past.setdefault(start, {})
    sums.begin = start
    for scope, amount in pop_slice(cells, _SUMS):
        past[scope] = amount
        sums.size += add_to(sums.totals, scope, amount, -1)
    if not cells:
        del sums.steps[start]
        sums.sharing.pop(start, None)
        sums.begin = start + sums.schedule.step_ns


def _expire(sums: RollingSums, limit: int) -> bool:
    """Drop some sums of steps before `limit`; whether there are none left."""
    if limit <= sums.complete_from:
        return True
    for start in [start for start in sums.past if start < limit]:
        cells = sums.past[start]
        sums.size -= len(pop_slice(cells, _SUMS))
        if cells:
            return False
        del sums.past[start]
        sums.verified.discard(start)
    sums.complete_from = limit
    return True
