"""What is told of budgets: each line once a period, whatever is repeated, restarted or late."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from collector.budgets.decisions import period_at
from collector.errors import Reason, Unavailable
from collector.model.budgets import BudgetEvent, EventType
from collector.store import Store
from collector.webhooks.outbox import Outbox
from tests.support.alerting import CENT, DAY, Told, budget, cents
from tests.support.calls import Call
from tests.support.spending import NOW, rules_of


def test_each_line_is_told_once(bench: Any) -> None:
    told = bench(budget())
    for number in range(1, 8):
        told.deliver([cents(number, 2)])
        told.alerting.tick()
    assert told.lines() == [("b", (), "0.5"), ("b", (), "0.8"), ("b", (), "1")]
    half = told.told_of(EventType.THRESHOLD_REACHED)[0]
    crossed_by = half.data["crossed_by"]
    assert crossed_by["trace_id"] == cents(3, 2).trace_id
    assert crossed_by["url"] == f"http://spend/runs/{crossed_by['trace_id']}"
    assert Decimal(half.data["spend"]) == Decimal(3 * 2 * CENT + 6).scaleb(-6)
    assert half.data["limit"] == "0.100000000000"
    assert half.data["late"] is False
    assert half.data["url"] == "http://spend/budgets/b"
    assert told.woken == 3


def test_several_lines_at_once_and_a_restart(bench: Any) -> None:
    told = bench(budget())
    told.deliver([cents(1, 30)])
    assert len(told.lines()) == 3
    before = told.told()
    told.restart()
    told.deliver([cents(1, 30)])
    told.deliver([cents(2, 30)])
    assert told.told() == before, "decided again, the events are those on record"


def test_what_a_crash_left_undecided_is_told_at_the_start(bench: Any) -> None:
    told = bench(budget())
    told.spending._on_change = lambda _: None  # the process dies between the insert and the decision
    told.deliver([cents(1, 9)])
    assert told.lines() == []
    told.restart()
    assert told.lines() == [("b", (), "0.5"), ("b", (), "0.8")]


def test_two_replicas_decide_the_same_events(bench: Any, tmp_path: Path) -> None:
    told = bench(budget(per=["feature"]))
    told.deliver([cents(1, 30, feature="a"), cents(2, 6, feature="b")])
    other = Outbox(tmp_path / "other.db", told.clock)
    told.another_alerting(other).decide_all()
    same = {event.id for event in other.events()}
    other.close()
    lines = [event for event in told.told() if event.type is not EventType.FORECAST]
    assert {event.id for event in lines} <= same
    assert len(lines) == 4


def test_late_spans_are_told_of_as_such_and_reset_nothing(bench: Any) -> None:
    told = bench(budget())
    told.deliver([cents(1, 20, start_ns=NOW - 3 * DAY)])
    events = told.told_of(EventType.BREACHED)
    assert [event.data["late"] for event in events] == [True]
    assert events[0].period_end <= NOW
    told.clock.advance(2 * 86_400)
    told.alerting.tick()
    assert told.told_of(EventType.RESET) == []


def test_a_period_that_had_a_line_crossed_is_reset_once(bench: Any) -> None:
    told = bench(budget(per=["feature"]))
    told.deliver([cents(1, 6, feature="a"), cents(2, 1, feature="quiet")])
    told.alerting.tick()
    assert told.told_of(EventType.RESET) == []
    told.clock.advance(2 * 86_400 + 5)  # the daemon was away for more than a period
    told.restart()
    told.alerting.tick()
    resets = told.told_of(EventType.RESET)
    assert [event.scope for event in resets] == [("a",)]
    ended = told.told_of(EventType.THRESHOLD_REACHED)[0]
    assert resets[0].period_start == ended.period_end
    assert resets[0].data["ended"]["end"] == ended.data["period"]["end"]
    assert resets[0].data["spend"] == "0.000000000000"


def test_a_forecast_is_told_once_before_the_breach(bench: Any) -> None:
    told = bench(budget(warn_at=[0.99], limit_usd="0.10", period="week"))
    # NOW is early on a Sunday: six sevenths of the week have passed.
    told.deliver([cents(1, 8)])
    assert told.told_of(EventType.FORECAST) == []
    told.clock.advance(2 * 86_400)  # the next week, a day in
    start = told.clock.now_ns
    told.deliver([cents(2, 5, start_ns=start)])
    told.deliver([cents(3, 1, start_ns=start)])
    forecasts = told.told_of(EventType.FORECAST)
    assert len(forecasts) == 1
    assert Decimal(forecasts[0].data["projected"]) > Decimal("0.10")
    assert forecasts[0].data["breach_at"].startswith("2026-04-01T00:59:5"), "twice the time is twice the spend"


def test_a_forecast_comes_with_time_alone(bench: Any) -> None:
    told = bench(budget(warn_at=[0.99], period="week", per=["user"]))
    told.max_values = 5_000
    told.restart()
    told.clock.advance(24.5 * 3600)  # Monday, an hour in
    start = told.clock.now_ns
    told.deliver([cents(number, 5, user=f"u{number}", start_ns=start) for number in range(1, 1202)])
    told.deliver([cents(2000, 0, user="thrifty", start_ns=start)])
    told.clock.advance(15.5 * 3600)
    told.alerting.tick()
    assert told.told() == []
    told.clock.advance(3600)  # more than a tenth of the week
    told.alerting.tick()
    assert 0 < len(told.told_of(EventType.FORECAST)) <= 1000, "so many at a time"
    told.alerting.tick()
    told.alerting.tick()
    forecasts = told.told_of(EventType.FORECAST)
    assert len(forecasts) == len(told.told()) == 1201
    assert {event.data["breach_at"][:13] for event in forecasts} == {"2026-03-31T10"}
    told.restart()
    assert len(told.told()) == 1201


@pytest.mark.parametrize(("unpriced", "events"), [("warn", 1), ("block", 1), ("ignore", 0)])
def test_calls_without_a_price_are_told_of(bench: Any, unpriced: str, events: int) -> None:
    told = bench(budget(unpriced=unpriced, hard=True))
    told.deliver([cents(1, 1, model="never-heard-of")])
    told.deliver([cents(2, 1, model="never-heard-of")])
    assert len(told.told_of(EventType.UNPRICED)) == events
    assert told.lines() == [], "no one knows that it cost anything"


def test_a_rolling_window_tells_again_after_it_fell_below(bench: Any) -> None:
    told = bench(budget(period="24h"))
    told.deliver([cents(1, 6)])
    told.deliver([cents(2, 1)])
    told.restart()
    told.deliver([cents(3, 1)])
    assert [line[2] for line in told.lines()] == ["0.5", "0.8"]
    told.clock.advance(86_400 + 120)
    told.alerting.tick()
    told.deliver([cents(4, 6, start_ns=told.clock.now_ns)])
    assert [line[2] for line in told.lines()] == ["0.5", "0.8", "0.5"]
    assert len({event.id for event in told.told()}) == len(told.told())


def test_a_window_crossed_again_soon_is_told_again_and_a_restart_tells_nothing(bench: Any) -> None:
    told = bench(budget(period="2h", warn_at=[0.5], limit_usd="0.10"))
    told.deliver([cents(1, 6)])
    told.clock.advance(2 * 3600 + 60)
    told.alerting.tick()
    told.clock.advance(60)
    told.deliver([cents(2, 6, start_ns=told.clock.now_ns)])
    assert [line[2] for line in told.lines()] == ["0.5", "0.5"]
    for number in range(3, 9):  # over the line for longer than a window lasts
        told.clock.advance(1800)
        told.deliver([cents(number, 6, start_ns=told.clock.now_ns)])
    told.restart()
    told.deliver([cents(9, 1, start_ns=told.clock.now_ns)])
    assert [line[2] for line in told.lines()] == ["0.5", "0.5", "1"]


def test_an_outbox_that_refuses_loses_no_line(bench: Any) -> None:
    for trace, period in enumerate(("24h", "day"), 1):
        told = bench(budget(period=period, name=period, per=["feature"]))
        told.deliver([cents(trace, 6, span=2, parent=1)])
        record = told.outbox.record
        told.outbox.record = refuse
        with pytest.raises(Unavailable):
            told.deliver([Call(trace=trace, span=1, start_ns=NOW, feature="paid")])
        told.outbox.record = record
        told.deliver([Call(trace=trace, span=1, start_ns=NOW, feature="paid")])
        assert (period, ("paid",), "0.5") in told.lines(), period


def refuse(*_: Any) -> list[BudgetEvent]:
    raise Unavailable(Reason.DISK, "The disk is full.")


def test_a_limit_changed_is_another_line(bench: Any) -> None:
    told = bench(budget(warn_at=[0.5]))
    told.deliver([cents(1, 6, start_ns=NOW - DAY), cents(2, 12)])
    told.use(rules_of(budget(warn_at=[0.5], limit_usd="0.20")))
    assert [line[2] for line in told.lines()] == ["0.5", "0.5", "1", "0.5"], "yesterday is not decided by new limits"
    told.use(rules_of(budget(warn_at=[0.5])))
    assert len(told.lines()) == 4, "the old limit's lines were told"


def test_what_a_reload_cannot_ask_changes_nothing(bench: Any) -> None:
    told = bench(budget())
    told.deliver([cents(1, 4)])
    query = told.store.query
    told.store.query = refuse
    with pytest.raises(Unavailable):
        told.use(rules_of(budget(match={"service": "shop"})))
    told.store.query = query
    rule = rules_of(budget()).by_name("b")
    assert told.ledger.spend_in(rule, (), period_at(rule, NOW)).tokens == 4 * CENT + 1
    told.deliver([cents(2, 2)])
    assert told.lines() == [("b", (), "0.5")]


def test_beyond_the_bound_one_event_speaks_for_all(store: Store, tmp_path: Path, made: "list[Told]") -> None:
    told = Told(store, rules_of(budget(per=["user"])), tmp_path)
    made.append(told)
    told.max_values = 2
    told.restart()
    told.deliver([cents(number, 3, user=f"u{number}") for number in range(1, 9)])
    scopes = {scope for _, scope, _ in told.lines()}
    assert scopes == {("(other)",)}


def test_a_new_rule_tells_what_has_been_spent_already(bench: Any) -> None:
    told = bench(budget())
    told.deliver([cents(1, 9)])
    told.use(rules_of(budget(), budget(name="stricter", limit_usd="0.05")))
    assert told.lines()[2:] == [("stricter", (), "0.5"), ("stricter", (), "0.8"), ("stricter", (), "1")]
    told.use(rules_of(budget(limit_usd="0.07")))
    assert told.lines()[5:] == [("b", (), "0.5"), ("b", (), "0.8"), ("b", (), "1")], "of the lowered limit"


def test_a_feature_named_at_the_end_counts(bench: Any) -> None:
    told = bench(budget(per=["feature"], limits={"paid": "0.05"}))
    told.deliver([cents(1, 6, span=2, parent=1)])
    assert [scope for _, scope, _ in told.lines()] == [("",)]
    told.deliver([Call(trace=1, span=1, start_ns=NOW, feature="paid")])
    assert ("b", ("paid",), "1") in told.lines()


def test_tokens_are_a_limit_too(bench: Any) -> None:
    told = bench({"name": "t", "limit_tokens": 100, "period": "hour", "warn_at": 0.8})
    told.deliver([Call(trace=1, span=1, start_ns=NOW, tokens=79), Call(trace=2, span=1, start_ns=NOW, tokens=1)])
    assert told.lines() == [("t", (), "0.8")]
    assert told.told()[0].data["spend"] == "80"
