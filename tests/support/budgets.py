"""Budgets as a team would write them, a ledger with spend in it, and enforcement over both."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from collector.admit.auth import hash_token
from collector.budgets.ledger import Ledger
from collector.budgets.rules import Rules
from collector.budgets.span_facts import Amount
from collector.config import Config, EnforcementConfig
from collector.model.budgets import Dimensions
from collector.model.money import picodollars
from collector.spending.enforcement import Enforcement
from collector.spending.lease_store import LeaseStore
from tests.support.clock import FakeClock
from tests.support.webservices import application, services

MONTH = {"name": "month", "limit_usd": 10, "period": "month", "hard": True}
FEATURES = {
    "name": "features",
    "limit_usd": 5,
    "limits": {"checkout": 1},
    "period": "day",
    "timezone": "America/New_York",
    "per": ["feature"],
    "match": {"service": "shop"},
    "hard": True,
}

CHECKER, OTHER, READER = "checker-token", "other-token", "reader-token"
TOKENS = [
    {"name": name, "sha256": hash_token(token), "scopes": [scope], "project": project}
    for name, token, scope, project in (
        ("checker", CHECKER, "budgets:check", "default"),
        ("other", OTHER, "budgets:check", "other"),
        ("reader", READER, "traces:read", "default"),
    )
]


def rules(*budgets: dict[str, Any]) -> Rules:
    return Rules.from_config(Config.model_validate({"budgets": budgets, "store": {"ttl": 0}}))


def spent(
    ledger: Ledger, rules_: Rules, now: int, usd: str = "0", tokens: int = 0, unpriced: int = 0, **stated: Any
) -> None:
    """Count one call, of the project `default` where none is said."""
    amount = Amount(picodollars(usd), tokens, 1, unpriced)
    for rule, scope in rules_.matching(Dimensions(**{"project": "default", **stated})):
        start = rule.schedule.countable(now, now)
        assert start is not None
        ledger.add(rule, scope, start, amount)


class Desk:
    """Enforcement over a ledger that is ready, at a time that stands still."""

    def __init__(self, directory: Path, *budgets: dict[str, Any], fail: str = "open") -> None:
        self.rules = rules(*budgets)
        self.clock = FakeClock()
        self.ledger = Ledger(100_000)
        self.ledger.keep(self.rules.rules)
        for rule, schedule in self.rules.calendar.values():
            self.ledger.load(rule, schedule.at(self.clock.now_ns).start, {})
        self.ledger.ready = True
        self.config = EnforcementConfig.model_validate({"fail": fail})
        self.why_ill: str | None = None
        self.path = directory / "leases.db"
        self.store = LeaseStore(self.path)
        self.enforcement = self._opened()

    def _opened(self) -> Enforcement:
        health: Callable[[], str | None] = lambda: self.why_ill  # noqa: E731
        return Enforcement(self.rules, self.ledger, self.store, self.config, self.clock, health)

    def spend(self, usd: str = "0", *, tokens: int = 0, unpriced: int = 0, **stated: Any) -> None:
        spent(self.ledger, self.rules, self.clock.now_ns, usd, tokens, unpriced, **stated)

    def reopen(self) -> None:
        """As after a restart: what is on disk is all that is known of leases."""
        self.store.close()
        self.store = LeaseStore(self.path)
        self.enforcement = self._opened()

    def close(self) -> None:
        self.store.close()


def checks_of(desk: Desk) -> Starlette:
    """The web application over a desk, for the tokens above."""
    return application(services(desk.enforcement, desk.clock), TOKENS)
