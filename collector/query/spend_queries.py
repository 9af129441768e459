"""What budgets have spent by the store: the exact answers that the ledger is built from and compared with."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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
    for number, start, scope, amount in _answers(store, _Asked(family[0][0]), schedules.parameters()):
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
    return _by_start(_answers(store, _Asked(rule, where or {}, per), _span_of(rule, starts)))


def spend_by(
    store: Store, rule: Rule, where: Mapping[str, str], per: Sequence[str], period: Period
) -> dict[Scope, Amount]:
    """What the calls of a rule add up to in one period, divided by other dimensions. Raises Unavailable."""
    span = _one_schedule([period.start], 0, period.start, period.end)
    return _by_start(_answers(store, _Asked(rule, where, per), span)).get(period.start, {})


def _by_start(sums: Iterable[tuple[int, int, Scope, Amount]]) -> dict[int, dict[Scope, Amount]]:
    by_start: dict[int, dict[Scope, Amount]] = {}
    for _, start, scope, amount in sums:
        cells = by_start.setdefault(start, {})
        cells[scope] = cells[scope].plus(amount) if scope in cells else amount
    return by_start


@dataclass(frozen=True)
class _Asked:
    """What is asked of the calls a rule counts: only those with the values of `where`, divided by `per` or as it is.

    The store does not know what models are called. It divides by the names that were sent, which are then put together.
    """

    rule: Rule
    where: Mapping[str, str] = field(default_factory=dict)
    divided_by: Sequence[str] | None = None

    @property
    def per(self) -> Sequence[str]:
        return self.rule.per if self.divided_by is None else self.divided_by

    def parameters(self) -> dict[str, Any]:
        """As `budget_spend` has them."""
        names = {*self.rule.match, *self.where, *self.per}
        by_attributes = any(name.startswith(ATTRIBUTE) for name in names)
        return self.rule.sql_parameters(self.where) | {
            "value_keys": list(self.rule.attribute_keys),
            "per": list(self.per),
            "by_run": int(not names.isdisjoint(_OF_RUNS) or by_attributes),
            "by_attributes": int(by_attributes or "environment" in names),
            "by_model": int("model" in names),
        }

    def scope_of(self, sent: tuple[str, ...], scope: Sequence[str]) -> Scope | None:
        """The scope of calls whose model was sent by these names, its name put in; None for calls not asked for."""
        if not sent:
            return tuple(scope)
        name, names = self.rule.model(*sent)
        if not self.rule.counts_model(names) or self.where.get("model", name) != name:
            return None
        return tuple([name if of == "model" else value for of, value in zip(self.per, scope, strict=True)])


def _answers(store: Store, asked: _Asked, schedules: Mapping[str, Any]) -> Iterator[tuple[int, int, Scope, Amount]]:
    """The number of the schedule, the start of the period or step, the scope and what was spent; some scopes twice."""
    if not asked.rule.admits(asked.where):
        return
    parameters = {**asked.parameters(), **schedules}
    for batch in store.query(named_query("budget_spend"), parameters).to_batches(max_chunksize=_SUMS):
        names = ("Schedule", "PeriodStart", "Scope", "ModelSent", "Cost", "Tokens", "Calls", "Unpriced")
        numbers, starts, scopes, sent, costs, *counts = (batch.column(name).to_pylist() for name in names)
        amounts = map(Amount, map(picodollars_of_sum, costs), map(int, counts[0]), *counts[1:])
        named = map(asked.scope_of, map(tuple, sent), scopes)
        for number, start, scope, amount in zip(numbers, starts, named, amounts, strict=True):
            if scope is not None:
                yield number, start, scope, amount


def amount_of(row: Mapping[str, Any]) -> Amount:
    return Amount(picodollars_of_sum(row["Cost"]), int(row["Tokens"]), row["Calls"], row["Unpriced"])


def _span_of(rule: Rule, starts: Sequence[int]) -> dict[str, Any]:
    """The time that `starts` cover, as parameters of `budget_spend`."""
    schedule, first, last = rule.schedule, starts[0], starts[-1]
    return _one_schedule(schedule.starts_between(first, last) or [0], schedule.step_ns, first, schedule.slot(last).end)


def _one_schedule(starts: list[int], step: int, since: int, until: int) -> dict[str, Any]:
    return {"starts": starts, "steps": [step], "sinces": [since], "untils": [until], "since": since, "until": until}
