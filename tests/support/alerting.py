"""A daemon's way from spans to what is told of budgets: real store, ledger and outbox."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from collector.budgets.ledger import Changes
from collector.budgets.rules import Rule, Rules
from collector.budgets.span_facts import Amount
from collector.budgets.views import top
from collector.model.budgets import BudgetEvent, EventType, Scope
from collector.query.spend_queries import exact_spend
from collector.spending.alerting import Alerting
from collector.store import Store
from collector.webhooks.outbox import Outbox
from tests.support.calls import Call
from tests.support.spending import NOW, RIGHT, Bench

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
# A cent is so many tokens of small-model.
CENT = 10_000


class Told(Bench):
    """A bench whose changes are decided on, with a real outbox."""

    def __init__(self, store: Store, rules: Rules, directory: Path) -> None:
        self.directory = directory
        self.woken = 0
        self.asked_back = 0
        self.outbox: Outbox | None = None
        super().__init__(store, rules, RIGHT)

    def restart(self) -> None:
        if self.outbox:
            self.outbox.close()
        self.outbox = Outbox(self.directory / "webhooks.db", self.clock)
        super().restart()
        self.alerting = self.another_alerting(self.outbox)
        self.alerting.decide_all()
        self.changes = Deciding(self.alerting)
        self.spending._on_change = self.changes.append

    def another_alerting(self, outbox: Outbox) -> Alerting:
        known = partial(top, self.ledger)
        return Alerting(
            self.rules, self.ledger, outbox, self.clock, self._wake, lambda: "http://spend", self._earlier, known
        )

    def _earlier(self, rule: Rule, scope: Scope, starts: Sequence[int]) -> dict[int, dict[Scope, Amount]]:
        self.asked_back += 1
        return exact_spend(self.store, rule, starts, dict(zip(rule.per, scope, strict=True)))

    def use(self, rules: Rules) -> None:
        super().use(rules)
        self.alerting.use(rules)

    def _wake(self) -> None:
        self.woken += 1

    def told(self) -> list[BudgetEvent]:
        assert self.outbox
        return self.outbox.events(limit=5000)[::-1]

    def told_of(self, kind: EventType) -> list[BudgetEvent]:
        return [event for event in self.told() if event.type is kind]

    def lines(self) -> list[tuple[str, tuple[str, ...], str]]:
        """Thresholds and breaches: budget, scope and fraction."""
        kinds = (EventType.THRESHOLD_REACHED, EventType.BREACHED)
        return [(event.budget, event.scope, event.threshold) for event in self.told() if event.type in kinds]


class Deciding(list[Changes]):
    """Changes that are decided on as they come."""

    def __init__(self, alerting: Alerting) -> None:
        super().__init__()
        self._alerting = alerting

    def append(self, changes: Changes) -> None:
        super().append(changes)
        self._alerting.evaluate(changes)


def budget(**settings: Any) -> dict[str, Any]:
    return {"name": "b", "limit_usd": "0.10", "period": "day", "warn_at": [0.5, 0.8], **settings}


def cents(number: int, amount: int, **rest: Any) -> Call:
    """Call number `number`; its tokens differ a little, so that no call is taken for a double of another."""
    return Call(**{"trace": number, "span": 1, "start_ns": NOW + number, "tokens": amount * CENT + number, **rest})
