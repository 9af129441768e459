"""What must be told of rolling windows in the scripted month, by plain arithmetic over it.

Spend is over a line from a step to another. Every such time of the last day is told once, by the time it is noticed;
one that was told stays told, however much earlier it turns out to have begun.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from tests.support.calls import PRICES, Call
from tests.support.month import BERLIN, DAY, HOUR, MINUTE, SECOND, Budget, Step

WINDOWS = (
    Budget("last-day", "24h", BERLIN, 110_000, "tokens", warn_at=("0.5", "0.8"), more={"unpriced": "warn"}),
    Budget("last-half-day", "12h", "UTC", 90_000, per=("service",), match={"service": ("support", "batch")}),
    Budget("last-week", "7d", "UTC", 900_000, per=("service",), warn_at=("0.7",), more={"hard": True}),
)
LENGTHS = {"12h": 12 * HOUR, "24h": DAY, "7d": 7 * DAY}
STEPS = {"12h": 30, "24h": MINUTE, "7d": 7 * MINUTE}  # at most 1,440 in a window


class Line(NamedTuple):
    """`fraction` of the limit, or "" for calls without a price."""

    kind: str
    budget: str
    scope: tuple[str, ...]
    fraction: str


@dataclass(frozen=True)
class Time:
    """Spend was over a line from the step `start` on up to `end`, as known when it was noticed. Unix seconds."""

    start: int
    end: int
    earliest: int
    latest: int


_Sums = defaultdict[Line, Counter[int]]


class WindowBooks:
    """Adds up the script, step by step, and notes what has to be told."""

    def __init__(self, budgets: Sequence[Budget] = WINDOWS) -> None:
        self.expected: defaultdict[Line, list[Time]] = defaultdict(list)
        self._budgets = {budget.name: budget for budget in budgets}
        self._spans: set[int] = set()
        self._sums: _Sums = defaultdict(Counter)

    def step(self, step: Step, began: int, ended: int) -> None:
        """All of a step was stored, and what it led to decided, between two moments (Unix ns)."""
        told = {line: list(times) for line, times in self.expected.items()}
        by_parts = Counter[Line]()
        for part in self._parts(step):
            for call in part:
                self._add(call)
            for line, time in self._noticed(told, began, ended):
                told.setdefault(line, []).append(time)
                by_parts[line] += 1
        at_once = Counter[Line]()
        for line, time in list(self._noticed(self.expected, began, ended)):
            self.expected[line].append(time)
            at_once[line] += 1
        # Otherwise the script would have to say which calls are stored when something is decided.
        assert by_parts == at_once, "the script has to be another: how often this is told depends on the machine"

    def spend(self, budget: Budget, now: int) -> dict[tuple[str, ...], int]:
        """What each scope has spent in the window that ends with the step of `now` (Unix seconds)."""
        step, length = STEPS[budget.period], LENGTHS[budget.period]
        last = now - now % step
        spent = {
            line.scope: sum(amount for at, amount in sums.items() if last - length < at <= last)
            for line, sums in self._sums.items()
            if line.budget == budget.name and line.fraction == "1"
        }
        return {scope: amount for scope, amount in spent.items() if amount}

    def _parts(self, step: Step) -> Iterator[list[Call]]:
        """The new calls, as they may come to be stored: request by request, and of each day by day."""
        for request in step.requests:
            new = {call.span: call for call in request if call.tokens and call.span not in self._spans}
            self._spans |= new.keys()
            days = defaultdict(list)
            for call in new.values():
                days[call.start_ns // (DAY * SECOND)].append(call)
            yield from (days[day] for day in sorted(days))

    def _add(self, call: Call) -> None:
        for budget in self._budgets.values():
            scope = budget.scope_of(call, "")
            if scope is None:
                continue
            second = call.start_ns // SECOND
            at = second - second % STEPS[budget.period]
            for fraction in (*budget.warn_at, "1"):
                kind = "budget.breached" if fraction == "1" else "budget.threshold_reached"
                self._sums[Line(kind, budget.name, scope, fraction)][at] += budget.cost(call)
            if budget.warns_of_unpriced() and call.model not in PRICES:
                self._sums[Line("budget.unpriced", budget.name, scope, "")][at] += 1

    def _noticed(self, told: Mapping[Line, Sequence[Time]], began: int, ended: int) -> Iterator[tuple[Line, Time]]:
        for line, sums in list(self._sums.items()):
            budget = self._budgets[line.budget]
            length, step = LENGTHS[budget.period], STEPS[budget.period]
            least = budget.limit_of(line.scope) * Fraction(line.fraction) if line.fraction else 1
            memory = min(length, DAY - DAY % step)
            first, last = (at // SECOND // step * step - memory for at in (began, ended))
            for start, end in _times(sums, length, least):
                assert end <= first or end > last, "too near to the end of what is remembered"
                earlier = told.get(line, ())
                if end > last and all(time.start < start for time in earlier):
                    yield line, Time(max(start, first), min(end, ended // SECOND + 1), began, ended)


def _times(sums: Mapping[int, int], length: int, least: int | Fraction) -> Iterator[tuple[int, int]]:
    """From which step up to which the sum of a window is at least so much."""
    changes = Counter(sums)
    changes.subtract({at + length: amount for at, amount in sums.items()})
    total, start = 0, None
    for at in sorted(changes):
        total += changes[at]
        if total >= least and start is None:
            start = at
        elif total < least and start is not None:
            yield start, at
            start = None
