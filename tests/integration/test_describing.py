"""Who spent most is added to an event before it is sent: off the way of those who decide, and not at any price."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.budgets.rules import Rules
from collector.budgets.views import top
from collector.config import Config
from collector.errors import Reason, Unavailable
from collector.model.budgets import EventType
from collector.query.budgets import BudgetQueries
from collector.spending.alerting import Contributors
from collector.store import Store
from tests.support.alerting import CENT, Told, budget, cents
from tests.support.calls import Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of
from tests.support.webhooks import OPS


class Described(Told):
    """A bench whose events are for an endpoint, and are described when the test says so."""

    def restart(self) -> None:
        super().restart()
        assert self.outbox
        self.outbox.configure({"ops": OPS})
        self.asked = 0
        self.released = 0
        self.stored = BudgetQueries(self._opened)
        self.describing = Contributors(self.rules, self.outbox, self.clock, self.stored.top, self._release)

    def _opened(self) -> Store:
        self.asked += 1
        return self.store

    def _release(self) -> None:
        self.released += 1

    def due(self) -> list[dict[str, Any]]:
        """The data of what may be sent now, as it is sent."""
        assert self.outbox
        return [json.loads(one.body)["data"] for one in self.outbox.deliveries.claim("ops", 1000, 60)]

    def without_top(self) -> float:
        assert self.outbox
        (sample,) = self.outbox.readings()
        return sample.value


@pytest.fixture
def has_contributors(store: Store, tmp_path: Path, made: list[Told]) -> Any:
    def make(**settings: Any) -> Described:
        said = {"budgets": [budget(webhooks=["ops"], **settings)], "store": {"ttl": "0s"}}
        hook = {"url": "https://hooks.example.com", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
        rules = Rules.from_config(Config.model_validate(said | {"webhooks": {"ops": hook}}))
        bench = Described(store, rules, tmp_path)
        made.append(bench)
        return bench

    return make


@pytest.mark.parametrize("period", ["day", "24h"])
def test_the_ledger_knows_who_spent_most_as_the_store_does(store: Store, period: str) -> None:
    plain = replace(rules_of(budget(period=period, per=["user"], unpriced="ignore")).by_name("b"), webhooks=("ops",))
    bench = Bench(store, Rules([plain]).with_breakdowns(), RIGHT)
    stored = BudgetQueries(lambda: store)
    bench.deliver([cents(number, number % 7, user=f"u{number % 2}", feature=f"f{number % 6}") for number in range(40)])
    bench.deliver([cents(50, 900, span=2, parent=1, user="u0")])
    bench.deliver([Call(trace=50, span=1, start_ns=NOW, feature="named at the end")])
    scopes, rule = {("u0",), ("u1",)}, bench.rules.by_name("b")
    now = bench.clock.now_ns
    when = rule.schedule.current(now)
    known = top(bench.ledger, rule, scopes, when, 5)
    assert known is not None
    assert {scope: list(shares) for scope, shares in known.items()} == stored.top(rule, scopes, when, 5)
    assert known[("u0",)][0].feature == "named at the end"
    assert top(bench.ledger, rule, {("nobody",)}, when, 5) is None
    bench.max_values = 3
    bench.restart()
    assert top(bench.ledger, rule, scopes, when, 5) is None, "some of it is among others"


@pytest.mark.parametrize("period", ["day", "24h"])
def test_an_event_waits_for_its_top_contributors(has_contributors: Any, period: str) -> None:
    told = has_contributors(period=period)
    told.deliver([cents(1, 2, feature="search"), cents(2, 4, feature="checkout")])
    assert told.due() == [], "nobody has been asked yet"
    told.describing.work()
    assert told.released
    (data,) = told.due()
    spent = [f"{(amount * CENT + number) / 1e6:.12f}" for number, amount in ((2, 4), (1, 2))]
    assert data["top"] == [
        {"feature": "checkout", "model": "small-model", "spend": spent[0], "calls": 1},
        {"feature": "search", "model": "small-model", "spend": spent[1], "calls": 1},
    ]
    assert told.without_top() == 0
    told.describing.work()
    assert told.due() == []


def test_what_the_ledger_knows_is_said_at_once(has_contributors: Any) -> None:
    told = has_contributors(per=["user"])
    told.rules = told.rules.with_breakdowns()
    told.restart()
    told.deliver([cents(1, 6, user="u", feature="search")])
    data = [data for data in told.due() if data["budget"] == "b"]
    assert [[entry["feature"] for entry in one["top"]] for one in data] == [["search"]]
    assert data[0]["top"][0]["spend"] == data[0]["spend"]
    assert told.asked == 0


def test_many_scopes_at_once_are_one_question(has_contributors: Any) -> None:
    told = has_contributors(per=["user", "feature"])
    told.deliver([cents(number, 20, user=f"u{number}", feature="f") for number in range(1, 41)])
    told.describing.work()
    bodies = told.due()
    assert len(bodies) == 3 * 40
    assert told.asked == 1
    assert all([entry["feature"] for entry in data["top"]] == ["f"] for data in bodies)
    assert {data["top"][0]["spend"] for data in bodies} == {data["spend"] for data in bodies}


def test_what_the_store_does_not_say_in_time_is_sent_without_and_counted(has_contributors: Any) -> None:
    told = has_contributors()
    told.deliver([cents(1, 6)])

    def refuse() -> Store:
        raise Unavailable(Reason.STORE, "The store is away.")

    told.stored._store = refuse
    told.describing.work()
    assert told.due() == []
    told.clock.advance(0.7)
    (data,) = told.due()
    assert data["top"] is None
    assert data["spend"] > "0.05"
    assert told.without_top() == 1
    told.stored._store = told._opened
    told.describing.work()
    assert told.outbox.without_contributors(10) == [], "it stays as it was sent"
    assert told.told()[0].data["top"] is None


def test_a_daemon_that_died_before_it_asked_asks_at_its_start(has_contributors: Any) -> None:
    told = has_contributors()
    told.deliver([cents(1, 6)])
    told.restart()
    told.describing.work()
    assert told.due()[0]["top"]


def test_what_nobody_can_say_any_more_is_sent_without(has_contributors: Any) -> None:
    told = has_contributors(per=["feature"])
    told.deliver([cents(1, 6)])
    told.describing.use(rules_of(budget(name="another")))
    told.describing.work()
    assert [data["top"] for data in told.due()] == [None]
    assert told.asked == 0


def test_a_reset_is_sent_at_once(has_contributors: Any) -> None:
    told = has_contributors()
    told.deliver([cents(1, 6)])
    told.describing.work()
    assert len(told.due()) == 1
    told.clock.advance(2 * 86_400)
    told.alerting.tick()
    data = told.due()[-1]
    assert "top" not in data
    assert data["url"] == "http://spend/budgets/b"
    assert told.told()[-1].type is EventType.RESET
