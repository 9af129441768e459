"""What budgets have spent by the store: the exact answers that the ledger is built from and compared with."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from collector.budgets.periods import Period
from collector.budgets.rules import Rule
from collector.budgets.span_facts import Amount
from collector.config import ATTRIBUTE
from collector.model.budgets import Scope
from collector.model.money import picodollars_of_sum
from collector.store.client import Store
from collector.store.sql import named_query

_OF_RUNS = frozenset({"agent", "feature", "user", "conversation"})

# What is read becomes objects in pieces, as no other thread runs while a piece does.
_SUMS = 500

Family = list[tuple[Rule, Sequence[int]]]
Spent = Mapping[str, dict[int, dict[Scope, Amount]]]


def families(rules: Iterable[tuple[Rule, Sequence[int]]]) -> list[Family]:
    """Rules that count the same calls in the same scopes, together."""
    together: dict[str, Family] = {}
    for rule, starts in rules:
        together.setdefault(rule.family, []).append((rule, starts))
    return list(together.values())


def family_spend(store: Store, family: Sequence[tuple[Rule, Sequence[int]]]) -> Spent:
    """What was spent by the store in some periods or steps of rules of one family, by name, start and scope.

    One scan for all of them. Of a window, all steps from the first to the last are included. Raises Unavailable.
    """
    schedules = _Schedules()
    for rule, starts in family:
        schedules.add(rule, starts)
    spent: dict[str, dict[int, dict[Scope, Amount]]] = {rule.name: {} for rule, _ in family}
    parameters = _parameters(family[0][0], {}, None) | schedules.parameters()
    for number, start, scope, amount in _answers(store, parameters):
        for name, period in schedules.counted_in(number, start):
            cells = spent[name].setdefault(period, {})
            cells[scope] = cells[scope].plus(amount) if scope in cells else amount
    return spent


class _Schedules:
    """Several schedules in one question.

    Calendars are one of them: their periods are put together from what lies between the boundaries of all.
    """

    def __init__(self) -> None:
        self._periods: list[tuple[str, Period]] = []
        self._windows: dict[tuple[int, int, int], list[str]] = {}  # step, since, until
        self._between: dict[int, list[tuple[str, int]]] = {}
        self._of_window: list[list[str]] = []

    def add(self, rule: Rule, starts: Sequence[int]) -> None:
        schedule = rule.schedule
        if schedule.step_ns:
            window = schedule.step_ns, starts[0], starts[-1] + schedule.step_ns
            self._windows.setdefault(window, []).append(rule.name)
        else:
            self._periods += ((rule.name, schedule.slot(start)) for start in starts)

    def parameters(self) -> dict[str, Any]:
        """As `budget_spend` has them."""
        self._of_window = list(self._windows.values())
        steps, sinces, untils = map(list, zip(*self._windows, strict=True)) if self._windows else ([], [], [])
        bounds = sorted({moment for _, period in self._periods for moment in (period.start, period.end)})
        if bounds:
            steps, sinces, untils = [*steps, 0], [*sinces, bounds[0]], [*untils, bounds[-1]]
        for name, period in self._periods:
            for start in bounds[bisect_left(bounds, period.start) : bisect_left(bounds, period.end)]:
                self._between.setdefault(start, []).append((name, period.start))
        span = {"since": min(sinces), "until": max(untils)}
        return {"steps": steps, "sinces": sinces, "untils": untils, "starts": bounds[:-1] or [0], **span}

    def counted_in(self, number: int, start: int) -> Iterable[tuple[str, int]]:
        """The rules, and the starts of their periods, in which a sum of the answer counts."""
        if number <= len(self._of_window):
            return [(name, start) for name in self._of_window[number - 1]]
        return self._between.get(start, ())


def exact_spend(
    store: Store,
    rule: Rule,
    starts: Sequence[int],
    where: Mapping[str, str] | None = None,
    per: Sequence[str] | None = None,
) -> dict[int, dict[Scope, Amount]]:
    """What was spent by the store, by start and scope, in all periods or steps from the first start to the last.

    `where` fixes values of dimensions; `per` divides by others than the rule does. Raises Unavailable.
    """
    return _by_start(_answers(store, _parameters(rule, where or {}, per) | _span_of(rule, starts)))


def spend_by(
    store: Store, rule: Rule, where: Mapping[str, str], per: Sequence[str], period: Period
) -> dict[Scope, Amount]:
    """What the calls of a rule add up to in one period, divided by other dimensions. Raises Unavailable."""
    span = _one_schedule([period.start], 0, period.start, period.end)
    return _by_start(_answers(store, _parameters(rule, where, per) | span)).get(period.start, {})


def _by_start(sums: Iterable[tuple[int, int, Scope, Amount]]) -> dict[int, dict[Scope, Amount]]:
    by_start: dict[int, dict[Scope, Amount]] = {}
    for _, start, scope, amount in sums:
        by_start.setdefault(start, {})[scope] = amount
    return by_start


def _answers(store: Store, parameters: Mapping[str, Any]) -> Iterator[tuple[int, int, Scope, Amount]]:
    """The number of the schedule, the start of the period or step, the scope and what was spent."""
    for batch in store.query(named_query("budget_spend"), parameters).to_batches(max_chunksize=_SUMS):
        names = ("Schedule", "PeriodStart", "Scope", "Cost", "Tokens", "Calls", "Unpriced")
        numbers, starts, scopes, costs, *counts = (batch.column(name).to_pylist() for name in names)
        amounts = list(map(Amount, map(picodollars_of_sum, costs), map(int, counts[0]), *counts[1:]))
        yield from zip(numbers, starts, map(tuple, scopes), amounts, strict=True)


def _parameters(rule: Rule, where: Mapping[str, str], per: Sequence[str] | None) -> dict[str, Any]:
    """A rule as parameters of `budget_spend`."""
    parameters = rule.sql_parameters(where) | {"value_keys": list(rule.attribute_keys)}
    if per is not None:
        parameters["per"] = list(per)
    names = {*rule.match, *where, *parameters["per"]}
    return parameters | {
        "by_run": int(not names.isdisjoint(_OF_RUNS)),
        "by_attributes": int(any(name == "environment" or name.startswith(ATTRIBUTE) for name in names)),
    }


def amount_of(row: Mapping[str, Any]) -> Amount:
    return Amount(picodollars_of_sum(row["Cost"]), int(row["Tokens"]), row["Calls"], row["Unpriced"])


def _span_of(rule: Rule, starts: Sequence[int]) -> dict[str, Any]:
    """The time that `starts` cover, as parameters of `budget_spend`."""
    schedule, first, last = rule.schedule, starts[0], starts[-1]
    return _one_schedule(schedule.starts_between(first, last) or [0], schedule.step_ns, first, schedule.slot(last).end)


def _one_schedule(starts: list[int], step: int, since: int, until: int) -> dict[str, Any]:
    return {"starts": starts, "steps": [step], "sinces": [since], "untils": [until], "since": since, "until": until}
