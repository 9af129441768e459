"""A daemon's way from spans to what is spent of budgets, over a real store."""

import itertools
from collections.abc import Sequence
from typing import Any

from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.billing.reprice import Selection, apply
from collector.budgets.ledger import Changes, Ledger
from collector.budgets.rules import Rule, Rules
from collector.budgets.seen_values import SeenValues
from collector.budgets.span_facts import NOTHING, Amount
from collector.config import Config, PricingConfig
from collector.decode import decode
from collector.enrich import Enricher, RecentTraces
from collector.errors import Reason, Unavailable
from collector.model.budgets import Scope
from collector.model.envelope import Envelope
from collector.query.spend_queries import exact_spend
from collector.spending.ledger_writer import Spending
from collector.store import Store
from tests.support.calls import OVERRIDES, Call, envelope
from tests.support.clock import FakeClock

# 2026-03-29 00:30 UTC: half an hour before clocks change in Berlin, and in a day that is another in New York.
NOW = 1_774_744_200_000_000_000
ALL = Selection(0)
RIGHT = enricher(PricingConfig.model_validate({"overrides": OVERRIDES}))

_numbers = itertools.count()


def rules_of(*budgets: dict[str, Any]) -> Rules:
    return Rules.from_config(Config.model_validate({"budgets": list(budgets), "store": {"ttl": "0s"}}))


class Bench:
    """A daemon's way from envelopes to the ledger, without its spool."""

    def __init__(self, store: Store, rules: Rules, used: Enricher, max_values: int = 1000) -> None:
        self.store, self.rules, self.enricher = store, rules, used
        self.clock = FakeClock(NOW)
        self.max_values = max_values
        self.changes: list[Changes] = []
        self.deaf = 0  # so many times, what has changed reaches nobody
        self.leases: dict[str, str] = {}  # the project of each open lease
        self.restart()

    def restart(self) -> None:
        """What a new process knows: nothing."""
        self.ledger = Ledger(self.max_values)
        self.billing = Billing(self.enricher, RecentTraces(10_000))
        self.seen = SeenValues()
        self.spending = Spending(self.rules, self.ledger, self.clock, lambda: self.leases, self.hear, self.seen)
        self.spending.start(self.store)

    def hear(self, changes: Changes) -> None:
        if self.deaf:
            self.deaf -= 1
            raise Unavailable(Reason.DISK, "The disk is full.")
        self.changes.append(changes)

    def use(self, rules: Rules) -> None:
        self.rules = rules
        self.spending.use(rules)

    def deliver(self, calls: Sequence[Call], token: str = "", *, again: bool = False) -> None:
        self.clock.advance(0.001)
        self.write([envelope([call], self.clock.now_ns) for call in calls], token, again=again)

    def write(self, envelopes: Sequence[Envelope], token: str = "", *, again: bool = False) -> None:
        """Store envelopes as one segment."""
        token = token or f"segment-{next(_numbers)}"
        batch = decode(envelopes)
        enriched = self.billing.enrich(self.store, [batch])
        with self.spending.writing(self.store, enriched.traces, again) as feed:
            for day, rows, _ in enriched.by_day():
                feed.insert(self.store, rows, f"{token}/{day}")
            self.billing.write_revisions(self.store, enriched, feed.insert)

    def reprice(self, used: Enricher, selection: Selection = ALL) -> None:
        apply(self.store, used, selection, self.spending.writing)

    def kept(self, rule: Rule) -> dict[int, dict[Scope, Amount]]:
        """The ledger's sums, without those of nothing."""
        starts = sorted(self.ledger.starts(rule))
        cells = {start: self.ledger.cells(rule, start) for start in starts}
        return without_nothing(cells)

    def exact(self, rule: Rule) -> dict[int, dict[Scope, Amount]]:
        starts = sorted(self.ledger.starts(rule))
        found = exact_spend(self.store, rule, starts) if starts else {}
        return without_nothing({start: found.get(start, {}) for start in starts})

    def assert_equal(self) -> None:
        for rule in self.rules:
            assert self.kept(rule) == self.exact(rule), rule.name


def without_nothing(sums: dict[int, dict[Scope, Amount]]) -> dict[int, dict[Scope, Amount]]:
    full = {
        start: {scope: amount for scope, amount in cells.items() if amount != NOTHING} for start, cells in sums.items()
    }
    return {start: cells for start, cells in full.items() if cells}
