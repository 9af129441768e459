"""A month of spans as a script, and by plain arithmetic over it what must be told of it.

Nothing of the product is asked: local days are made of dates, sums of integers.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.support.calls import PRICES, Call

SECOND = 1_000_000_000
MINUTE, HOUR, DAY = 60, 3600, 86_400
NEW_YORK, BERLIN, KOLKATA = "America/New_York", "Europe/Berlin", "Asia/Kolkata"
FIRST, LAST = date(2026, 10, 15), date(2026, 11, 15)
UNKNOWN = "mystery-1"

# UTC. Around the end of summer time in Berlin (25 October, 01:00) and New York (1 November, 06:00), and the ends of
# months and days there and in Kolkata.
_EDGES = [
    "10-24T18:12",
    "10-24T18:47",
    "10-24T21:47",
    "10-24T22:12",
    "10-24T23:47",
    "10-25T00:12",
    "10-25T00:47",
    "10-25T01:12",
    "10-25T01:47",
    "10-25T02:12",
    "10-25T22:47",
    "10-25T23:12",
    "10-31T18:12",
    "10-31T18:47",
    "10-31T22:47",
    "10-31T23:12",
    "11-01T03:47",
    "11-01T04:12",
    "11-01T05:12",
    "11-01T05:47",
    "11-01T06:12",
    "11-01T06:47",
    "11-01T07:12",
    "11-02T04:47",
    "11-02T05:12",
]
_MINUTES = (7, 12, 37, 42, 47)  # far from the ends of hours, and from half past, when days end in Kolkata


@dataclass(frozen=True)
class Budget:
    """A budget; its limit in tokens or in millionths of a dollar."""

    name: str
    period: str
    zone: str
    limit: int
    unit: str = "usd"
    per: tuple[str, ...] = ()
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warn_at: tuple[str, ...] = ("0.8",)
    limits: Mapping[str, int] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, webhook: str) -> dict[str, Any]:
        """As a team would write it."""
        said: dict[str, Any] = {"name": self.name, "period": self.period, "timezone": self.zone}
        said |= {f"limit_{self.unit}": self.amount(self.limit), "warn_at": list(self.warn_at), "unpriced": "ignore"}
        said |= {"per": list(self.per), "match": {name: list(values) for name, values in self.match.items()}}
        said |= {"limits": {value: self.amount(limit) for value, limit in self.limits.items()}}
        return {**said, **self.more, "webhooks": [webhook]}

    def amount(self, value: int) -> str | int:
        return str(Decimal(value) / 1_000_000) if self.unit == "usd" else value

    def cost(self, call: Call) -> int:
        return call.tokens * PRICES.get(call.model, 0) if self.unit == "usd" else call.tokens

    def scope_of(self, call: Call, feature: str) -> tuple[str, ...] | None:
        said = {"service": call.service, "model": call.model, "feature": call.feature or feature}
        if any(said[name] not in values for name, values in self.match.items()):
            return None
        return tuple(said[name] for name in self.per)

    def limit_of(self, scope: tuple[str, ...]) -> int:
        return self.limits.get(scope[0], self.limit) if scope else self.limit

    def warns_of_unpriced(self) -> bool:
        return self.more.get("unpriced") == "warn"

    def period_at(self, second: int) -> tuple[int, int]:
        """Start and end, Unix seconds."""
        return _period(
            self.period, self.zone, self.more.get("week_start", "monday"), self.more.get("month_day", 1), second
        )


@cache
def _period(kind: str, name: str, week_start: str, month_day: int, second: int) -> tuple[int, int]:
    zone = ZoneInfo(name)
    local = datetime.fromtimestamp(second, zone)
    if kind == "hour":
        # Clocks of these zones change on the hour, by an hour: no hour is cut.
        start = second - local.minute * MINUTE - local.second
        return start, start + HOUR
    first = local.date()
    if kind == "day":
        following = first + timedelta(1)
    elif kind == "week":
        first -= timedelta((first.weekday() - {"monday": 0, "sunday": 6}[week_start]) % 7)
        following = first + timedelta(7)
    else:
        first = (first - timedelta(month_day - 1)).replace(day=month_day)
        following = (first.replace(day=1) + timedelta(32)).replace(day=month_day)
    return _midnight(first, zone), _midnight(following, zone)


def _midnight(day: date, zone: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


BUDGETS = (
    Budget("york-month", "month", NEW_YORK, 500_000, per=("service",), warn_at=("0.5", "0.8"), more={"hard": True}),
    Budget("york-day", "day", NEW_YORK, 40_000, "tokens", warn_at=("0.25", "0.9")),
    Budget("york-hour", "hour", NEW_YORK, 40_000, match={"service": ("support", "batch")}),
    Budget(
        "york-features",
        "month",
        NEW_YORK,
        300_000,
        per=("feature",),
        warn_at=("0.1", "0.4", "0.999"),
        limits={"search": 700_000, "": 1_000_000_000},
    ),
    Budget("berlin-day", "day", BERLIN, 120_000, per=("service",), warn_at=("0.5",), more={"hard": True}),
    Budget("berlin-hour", "hour", BERLIN, 12_000, "tokens", warn_at=("0.5",)),
    Budget("berlin-features", "day", BERLIN, 80_000, per=("feature",), match={"feature": ("checkout", "search")}),
    Budget(
        "kolkata-week",
        "week",
        KOLKATA,
        90_000,
        "tokens",
        per=("service",),
        warn_at=("0.25", "0.75"),
        more={"week_start": "sunday", "hard": True},
    ),
    Budget("kolkata-month", "month", KOLKATA, 2_000_000, warn_at=("0.001", "0.5"), more={"hard": True}),
    Budget("invoice", "month", BERLIN, 5_000_000, per=("service",), more={"month_day": 20, "unpriced": "warn"}),
    Budget(
        "unknown",
        "day",
        KOLKATA,
        4_000,
        "tokens",
        match={"model": (UNKNOWN,)},
        more={"unpriced": "warn", "match": {"model": "mystery-*"}},
    ),
)


@dataclass(frozen=True)
class Step:
    """At `at` (Unix seconds) these requests are sent; then nothing until the next."""

    at: int
    requests: tuple[tuple[Call, ...], ...]


def script(seed: int) -> list[Step]:
    """The month: the same for the same seed."""
    return _Writer(random.Random(seed)).steps()


class _Writer:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._runs = 0
        self._roots: defaultdict[int, list[Call]] = defaultdict(list)  # those that arrive with a later step
        self._sent: list[Call] = []

    def steps(self) -> list[Step]:
        moments = self._moments()
        return [
            Step(at, tuple(self._requests(number, before, at)))
            for number, (before, at) in enumerate(zip([moments[0] - HOUR, *moments], moments, strict=False))
        ]

    def _moments(self) -> list[int]:
        moments = {int(datetime.fromisoformat(f"2026-{edge}Z").timestamp()) for edge in _EDGES}
        for day in range((LAST - FIRST).days):
            midnight = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(day)
            hour, minute = self._chance.randrange(24), self._chance.choice(_MINUTES)
            moments.add(int(midnight.timestamp()) + hour * HOUR + minute * MINUTE)
        apart: list[int] = []
        for moment in sorted(moments):
            if not apart or moment - apart[-1] >= 20 * MINUTE:
                apart.append(moment)
        return apart

    def _requests(self, number: int, before: int, at: int) -> Iterator[tuple[Call, ...]]:
        chance = self._chance
        calls, roots = [], self._roots.pop(number, [])
        for _ in range(chance.randint(2, 4)):
            root, *rest = self._run(before, at)
            calls += rest
            if chance.random() < 0.6:
                roots.append(root)
            else:
                self._roots[number + chance.randint(1, 4)].append(root)
        chance.shuffle(calls)
        middle = chance.randint(0, len(calls))
        requests = [part for part in (calls[:middle], calls[middle:], roots) if part]
        if self._sent and chance.random() < 0.6:
            again = chance.sample(self._sent, min(len(self._sent), chance.randint(1, 6)))
            requests.insert(chance.randint(0, len(requests)), again)
        for request in requests:
            yield tuple(request)
            if chance.random() < 0.15:
                yield tuple(request)
        self._sent += [*calls, *roots]

    def _run(self, before: int, at: int) -> list[Call]:
        """The root, which alone may name the feature, and its calls."""
        chance = self._chance
        self._runs += 1
        kind = chance.random()
        if kind < 0.5:  # now
            begin = at - chance.randint(30, 9 * MINUTE)
        elif kind < 0.8:  # since the last step
            begin = chance.randint(before, at - 10)
        else:  # late
            begin = at - chance.randint(2 * HOUR, 9 * DAY)
        service, feature = (
            chance.choice(["support", "batch", "web"]),
            chance.choice(["checkout", "search", "refund", ""]),
        )
        trace, root = self._runs, self._runs * 100
        run = [Call(trace, root, begin * SECOND, feature=feature, service=service)]
        for number in range(1, chance.randint(2, 5)):
            start = min(begin * SECOND + chance.randrange(15 * MINUTE * SECOND), at * SECOND - number)
            model = UNKNOWN if chance.random() < 0.04 else chance.choice(list(PRICES))
            tokens = chance.randint(2, 40) * 100 + number
            run.append(Call(trace, root + number, start, tokens, model, parent=root, service=service))
        return run


class Key(NamedTuple):
    """What an event is about; `start` is that of its period, in Unix seconds."""

    kind: str
    budget: str
    scope: tuple[str, ...]
    start: int
    fraction: str = ""


class Told(NamedTuple):
    """When an event is decided, in Unix ns, and whether its period had ended; `at_least` is spent by then."""

    earliest: int
    latest: int
    late: bool


_Cell = tuple[Budget, tuple[str, ...], tuple[int, int]]


class Books:
    """Adds up the script, step by step, and notes what has to be told."""

    def __init__(self, budgets: Sequence[Budget]) -> None:
        self._budgets = {budget.name: budget for budget in budgets}
        self.spans: dict[int, Call] = {}
        self.expected: dict[Key, Told] = {}
        self.sure_forecasts: set[Key] = set()
        self.possible_forecasts: set[Key] = set()
        self.sums: defaultdict[tuple[str, tuple[str, ...], tuple[int, int]], int] = defaultdict(int)
        self._unpriced: set[tuple[str, tuple[str, ...], tuple[int, int]]] = set()
        self._runs: defaultdict[int, list[Call]] = defaultdict(list)
        self._features: dict[int, str] = {}

    def step(self, step: Step, began: int, ended: int) -> None:
        """All of a step was stored, and what it led to decided, between two moments (Unix ns)."""
        before = dict(self.sums)
        touched = set()
        new = {call.span: call for request in step.requests for call in request if call.span not in self.spans}
        # Roots last: what a run's calls add up to without a feature is never more than it is here.
        for call in sorted(new.values(), key=lambda call: call.tokens == 0):
            self.spans[call.span] = call
            touched |= self._add(call) if call.tokens else self._name(call)
        for cell in touched:
            self._decide(cell, began, ended)
        self._foresee(before, touched, began, ended)

    def _add(self, call: Call) -> set[Any]:
        self._runs[call.trace].append(call)
        return self._post(call, self._features.get(call.trace, ""), 1)

    def _name(self, root: Call) -> set[Any]:
        touched: set[Any] = set()
        for call in self._runs[root.trace]:
            touched |= self._post(call, "", -1)
            touched |= self._post(call, root.feature, 1)
        self._features[root.trace] = root.feature
        return touched

    def _post(self, call: Call, feature: str, sign: int) -> set[Any]:
        touched = set()
        for budget in self._budgets.values():
            scope = budget.scope_of(call, feature)
            if scope is None:
                continue
            cell = budget.name, scope, budget.period_at(call.start_ns // SECOND)
            self.sums[cell] += sign * budget.cost(call)
            if sign > 0 and call.model not in PRICES and budget.warns_of_unpriced():
                self._unpriced.add(cell)
            touched.add(cell)
        return touched

    def _decide(self, cell: Any, began: int, ended: int) -> None:
        name, scope, (start, end) = cell
        budget, spent = self._budgets[name], self.sums[cell]
        told = Told(began, ended, end * SECOND <= began)
        for fraction in (*budget.warn_at, "1"):
            if spent and spent >= budget.limit_of(scope) * Fraction(fraction):
                kind = "budget.breached" if fraction == "1" else "budget.threshold_reached"
                self.expected.setdefault(Key(kind, name, scope, start, fraction), told)
        if cell in self._unpriced:
            self.expected.setdefault(Key("budget.unpriced", name, scope, start), told)

    def _foresee(self, before: Mapping[Any, int], touched: set[Any], began: int, ended: int) -> None:
        """Forecasts that are sure: of what was written. Those that are possible: of all sums, when a daemon starts."""
        for cell, spent in self.sums.items():
            name, scope, (start, end) = cell
            limit, whole = self._budgets[name].limit_of(scope), end - start
            if not start * SECOND <= began < end * SECOND or spent * 10 < limit:
                continue
            key = Key("budget.forecast", name, scope, start)
            first, last = Fraction(began, SECOND) - start, Fraction(ended, SECOND) - start
            if before.get(cell, 0) < limit and last * 10 >= whole and spent * whole >= limit * first:
                self.possible_forecasts.add(key)
            if cell in touched and spent < limit and first * 10 >= whole and spent * whole >= limit * last:
                self.sure_forecasts.add(key)

    def resets(self, until: int) -> dict[Key, int]:
        """The resets that are told by `until` (Unix ns), and the start of the period that has ended."""
        found = {}
        for key, told in self.expected.items():
            budget = self._budgets[key.budget]
            start, end = budget.period_at(key.start)
            if key.fraction and not told.late and end * SECOND <= until:
                found[Key("budget.reset", key.budget, key.scope, end)] = start
        return found
