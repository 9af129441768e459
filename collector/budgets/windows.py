"""When the spend of a rolling window was over a line: a matter of the calls' own times, not of who looked when.

The spend of a step is that of the window which ends with it. A line is crossed in the first step that is at or over it
after one that was not, and armed again by the first that is not.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from itertools import chain

from collector.budgets.periods import Period, Rolling
from collector.budgets.rules import Rule, Unit, Unpriced
from collector.budgets.span_facts import Amount
from collector.model.budgets import EventType, Line, Scope

# What was spent in steps, by their start.
StepSums = Sequence[tuple[int, Amount]]


@dataclass(frozen=True, slots=True)
class Crossing:
    """A line was crossed in the first step of `over`, the steps in a row at which spend was at or over it.

    `fraction` is that of the limit, "" where the line is the first call without a price.
    """

    line: Line
    fraction: str
    over: Period


@dataclass(frozen=True, slots=True)
class Level:
    """A line of a limit: `needed` is the least amount that is over it, picodollars, tokens or calls without a price."""

    kind: EventType
    fraction: str
    name: str
    needed: int

    def line_of(self, rule: Rule, scope: Scope) -> Line:
        return Line(rule.name, scope, self.kind, self.name)

    def measure(self, rule: Rule, amount: Amount) -> int:
        if self.kind is EventType.UNPRICED:
            return amount.unpriced
        return amount.pico if rule.unit is Unit.USD else amount.tokens


def levels(rule: Rule, scope: Scope) -> Sequence[Level]:
    """The lines of a scope, those of the limit from the lowest on."""
    return _levels(rule.limit_of(scope), rule.warn_at, rule.unpriced is not Unpriced.IGNORE)


@lru_cache(maxsize=10_000)
def _levels(limit: int, warn_at: tuple[Decimal, ...], unpriced: bool) -> Sequence[Level]:
    lines = []
    for fraction in (*warn_at, Decimal(1)):
        kind = EventType.BREACHED if fraction == 1 else EventType.THRESHOLD_REACHED
        text = f"{fraction.normalize():f}"
        # Of another limit it is another line: after a raise, what is reached then is a new event.
        lines.append(Level(kind, text, f"{text} of {limit}", max(1, math.ceil(limit * fraction))))
    if unpriced:
        lines.append(Level(EventType.UNPRICED, "", "", 1))
    return tuple(lines)


@dataclass(frozen=True, slots=True)
class Look:
    """The crossings of a scope, in the order of time.

    `notified` is the step that represents a line from now on, None where none does; spend is still `over` some lines.
    """

    crossings: Sequence[Crossing]
    notified: Mapping[Line, int | None]
    over: Sequence[Line]


def look(
    rule: Rule, schedule: Rolling, scope: Scope, sums: StepSums, notified: Mapping[Line, int], since: int, now: int
) -> Look:
    """Compare when a scope was over its lines with the steps notified last.

    `sums` are complete from a window before the step `since` up to now. A time over a line that reaches back to
    `since` may have begun before it.
    """
    crossings: list[Crossing] = []
    representing: dict[Line, int | None] = {}
    still_over: list[Line] = []
    for level in levels(rule, scope):
        line = level.line_of(rule, scope)
        values = [(start, level.measure(rule, amount)) for start, amount in sums]
        times = times_over(values, schedule, level.needed, since, now)
        new, representing[line] = not_yet_notified(times, notified.get(line), since)
        crossings += [Crossing(line, level.fraction, over) for over in new]
        still_over += [line for over in times[-1:] if now in over]
    crossings.sort(key=lambda crossing: crossing.over.start)
    return Look(crossings, representing, still_over)


def times_over(values: Iterable[tuple[int, int]], schedule: Rolling, needed: int, since: int, now: int) -> list[Period]:
    """The steps, from `since` to that of `now`, at which a window holds at least `needed`: as times without a gap."""
    changes: defaultdict[int, int] = defaultdict(int)
    for start, value in values:
        changes[start] += value
        changes[start + schedule.length_ns] -= value
    end = schedule.window(now).end
    times: list[Period] = []
    total, began = 0, None
    for at in chain(sorted(changes), (end,)):
        if at >= end:
            break
        total += changes[at]
        if total >= needed:
            began = at if began is None else began
        elif began is not None:
            times += [Period(max(began, since), at)] if at > since else []
            began = None
    if began is not None:
        times.append(Period(max(began, since), end))
    return times


def not_yet_notified(times: Sequence[Period], notified: int | None, since: int) -> tuple[Sequence[Period], int | None]:
    """Those times over a line that need an event, and the step that represents the line then.

    A step that was notified represents its time over the line and what was before: also where late calls have had that
    time begin earlier. Where calls were taken back (a feature named at the end of a run, a new price) and it lies in
    none any more, it represents the next one, or no longer any.
    """
    if notified is None:
        return times, times[-1].start if times else None
    later = [over for over in times if over.start > notified]
    if notified < since:
        if not times or times[0].start > since:
            return later, later[-1].start if later else None
        later = later[1:]
    elif not any(notified in over for over in times):
        return later[1:], later[-1].start if later else None
    return later, later[-1].start if later else notified
