"""Comparing the ledger with the store, round by round, while rows are written."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import structlog

from collector.budgets.ledger import Ledger
from collector.budgets.rules import Rule, Rules
from collector.model.clock import Clock
from collector.query.spend_queries import Family, Spent, family_spend
from collector.slices import clear_in_slices
from collector.store.client import Store

log = structlog.get_logger("spanmeter.spending")

# Slots that were over for so long when they were found right are compared again when something was counted in them,
# and each so-many-th time: another replica may have stored late spans.
_LATE_NS = 3_600 * 1_000_000_000
_ALL_EVERY = 6

# The rules in force, and the store once it was used.
Current = Callable[[], tuple[Rules, Store | None]]


class Reconciliation:
    """Shares the lock of whoever writes the ledger.

    Nobody waits while the store answers: a sum is right if it was, at some time since the question, what the answer
    has. Only a family of rules in which one seems wrong, or scopes that shared a sum can be separated, is looked at
    again with all writers waiting.
    """

    def __init__(self, ledger: Ledger, clock: Clock, lock: "threading.RLock") -> None:
        self._ledger = ledger
        self._clock = clock
        self._lock = lock
        self._rounds = 0

    def round(self, current: Current) -> Iterator[str]:
        """Compare every rule, and correct it; the rules that were wrong. Raises Unavailable."""
        self._rounds += 1
        if self._rounds % _ALL_EVERY == 0:
            self._ledger.comparison.verify_none()
        rules, _ = current()
        for places in rules.families:
            family = [rules.rules[place] for place in places]
            if not self._seems_right(family, current):
                yield from self._corrected(family, current)

    def _seems_right(self, rules: Sequence[Rule], current: Current) -> bool:
        comparison = self._ledger.comparison
        with self._lock:  # no write is under way: all that is stored is counted
            (in_force, store), now = current(), self._clock.time_ns()
            compared = self._to_compare(rules, in_force, now) if store else []
            if store is None or not compared:
                return True
            comparison.watch(rules)
        try:
            exact = family_spend(store, compared)
            with self._lock:  # every write that the answer may know of is counted
                pass
            right = all(
                comparison.is_or_was(rule, start, exact[rule.name].get(start, {}))
                for rule, starts in compared
                for start in {*starts, *exact[rule.name]}
            )
            _release(exact)
            with self._lock:
                in_force, _ = current()
                still = [(rule, starts) for rule, starts in compared if in_force.find(rule.name) is rule]
                if right:
                    verify(self._ledger, still, now)
                return right and not any(self._ledger.can_separate(rule, starts) for rule, starts in still)
        finally:
            comparison.unwatch(rules)

    def _corrected(self, rules: Sequence[Rule], current: Current) -> Iterator[str]:
        with self._lock:
            (in_force, store), now = current(), self._clock.time_ns()
            compared = self._to_compare(rules, in_force, now) if store else []
            exact = family_spend(store, compared) if store and compared else {}
            wrong = {rule.name: take_over(self._ledger, [(rule, starts)], exact) for rule, starts in compared}
            verify(self._ledger, compared, now)
        for name, differing in wrong.items():
            if differing:
                hint = "Where several replicas write one store, this is what the others have stored."
                log.warning(
                    "A budget's spend was not what the store says; corrected.", budget=name, hint=hint, **differing
                )
                yield name

    def _to_compare(self, rules: Iterable[Rule], in_force: Rules, now: int) -> Family:
        """What is to be compared of those rules that are still in force."""
        kept = [rule for rule in rules if in_force.find(rule.name) is rule]
        self._ledger.forget(kept, now)
        since = None if self._rounds % _ALL_EVERY == 0 else now - _LATE_NS
        unverified = self._ledger.comparison.unverified
        return [(rule, sorted({*unverified(rule), *rule.schedule.recent(now, since)})) for rule in kept]


def take_over(ledger: Ledger, family: Family, exact: Spent) -> dict[str, Any]:
    """Make what the store has the ledger's, which uses it up; what differed: how many scopes, and one of them."""
    differing = [
        (start, scope)
        for rule, starts in family
        # The latest first, where there is not room for all.
        for start in sorted(_slots(ledger, rule, starts) | exact[rule.name].keys(), reverse=True)
        for scope in ledger.load(rule, start, exact[rule.name].get(start, {}))
    ]
    _release({rule.name: exact[rule.name] for rule, _ in family})
    return {"scopes": len(differing), "first": differing[0]} if differing else {}


def _slots(ledger: Ledger, rule: Rule, starts: Sequence[int]) -> set[int]:
    """Those of `starts` that are to be taken over though nothing was spent: of a window only what it has."""
    return set(starts).intersection(ledger.starts(rule)) if rule.schedule.step_ns else set(starts)


def verify(ledger: Ledger, family: Family, now: int) -> None:
    """These slots were found right: those that are long over are not compared again unless they change."""
    for rule, starts in family:
        ended = (start for start in starts if rule.schedule.slot(start).end < now - _LATE_NS)
        ledger.comparison.verify(rule, ended)


def _release(exact: Spent) -> None:
    for by_start in exact.values():
        for sums in by_start.values():
            clear_in_slices(sums)
