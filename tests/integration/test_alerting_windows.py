"""What is told of rolling windows: each time they are over a line once, and by all replicas under one id."""

from pathlib import Path
from typing import Any

import pytest

from collector.budgets.decisions import period_at
from collector.budgets.rules import Rules
from collector.model.budgets import BudgetEvent, EventType
from collector.store import Store
from tests.support.alerting import SECOND, Told, budget, cents
from tests.support.spending import NOW, rules_of

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Later(Told):
    """Another daemon over the same rows, with nothing on record, that begins at a time of its own."""

    def __init__(self, store: Store, rules: Rules, directory: Path, now: int) -> None:
        self._now = now
        directory.mkdir()
        super().__init__(store, rules, directory)

    def restart(self) -> None:
        self.clock.now_ns = max(self.clock.now_ns, self._now)
        super().restart()


def replica(told: Told, directory: Path, made_: list[Told], seconds: float) -> Told:
    made_.append(Later(told.store, told.rules, directory, told.clock.now_ns + int(seconds * SECOND)))
    return made_[-1]


def window(**settings: Any) -> dict[str, Any]:
    return budget(**{"period": "24h", "warn_at": [0.5], "unpriced": "ignore", **settings})


def ids(told: Told) -> list[str]:
    return [event.id for event in told.told()]


def minutes(events: list[BudgetEvent]) -> list[int]:
    """By which step events are named, in minutes after that of NOW."""
    return [(event.period_start - NOW // (MINUTE * SECOND) * MINUTE * SECOND) // (MINUTE * SECOND) for event in events]


@pytest.mark.parametrize("hours", [0.1, 5, 22.5])
def test_replicas_that_look_at_other_times_tell_the_same(
    bench: Any, tmp_path: Path, made: list[Told], hours: float
) -> None:
    told = bench(window(per=["feature"]))
    for number in range(1, 8):
        told.deliver([cents(number, 2, feature="a", start_ns=told.clock.now_ns)])
        told.clock.advance(10 * MINUTE)
    assert [event.threshold for event in told.told()] == ["0.5", "1"]
    assert minutes(told.told()) == [20, 40], "when the third call was, and the fifth"
    other = replica(told, tmp_path / "other", made, hours * HOUR)
    assert ids(other) == ids(told)
    assert [event.data["late"] for event in other.told()] == [False, False]
    told.alerting.decide_all()
    told.restart()
    assert len(told.told()) == 2


def test_a_replica_that_joins_after_days_over_a_line_asks_since_when(
    bench: Any, tmp_path: Path, made: list[Told]
) -> None:
    told = bench(window(per=["feature"]))
    for number in range(1, 21):
        told.deliver([cents(number, 5, feature="a", start_ns=told.clock.now_ns)])
        told.clock.advance(8 * HOUR)
    assert told.asked_back == 0
    other = replica(told, tmp_path / "other", made, 3 * MINUTE)
    assert sorted(ids(other)) == sorted(ids(told))
    assert other.asked_back > 0


def test_a_time_over_a_line_is_told_of_though_it_has_ended(bench: Any, tmp_path: Path, made: list[Told]) -> None:
    told = bench(window())
    told.deliver([cents(1, 6)])
    other = replica(told, tmp_path / "other", made, 30 * HOUR)
    assert ids(other) == ids(told)
    (event,) = other.told()
    assert event.data["late"] is True
    assert event.data["over_since"] == "2026-03-29T00:30:00+00:00"
    assert event.data["period"]["end"] == "2026-03-29T06:31:00+00:00", "the first window that is known in full"
    assert event.data["spend"] == told.told()[0].data["spend"]
    much_later = replica(told, tmp_path / "much-later", made, 49 * HOUR)
    assert much_later.told() == []


def test_late_calls_make_a_crossing_earlier_and_no_second_one(bench: Any) -> None:
    told = bench(window())
    told.deliver([cents(1, 3)])
    told.clock.advance(2 * HOUR)
    told.deliver([cents(2, 3, start_ns=told.clock.now_ns)])
    assert minutes(told.told()) == [120]
    told.deliver([cents(3, 1, start_ns=NOW + HOUR * SECOND), cents(4, 1, start_ns=NOW - HOUR * SECOND)])
    told.restart()
    assert minutes(told.told()) == [120]


def test_a_line_crossed_anew_while_nobody_looked_is_told_of(bench: Any) -> None:
    told = bench(window())
    told.deliver([cents(1, 6)])
    told.clock.advance(26 * HOUR)  # under the line for two hours
    told.deliver([cents(2, 6, start_ns=told.clock.now_ns)])
    assert minutes(told.told()) == [0, 26 * 60]


def test_spend_that_stays_over_a_line_for_days_is_told_of_once(bench: Any) -> None:
    told = bench(window())
    for number in range(1, 9):
        told.deliver([cents(number, 6, start_ns=told.clock.now_ns)])
        told.clock.advance(10 * HOUR)
        told.alerting.tick()
    told.restart()
    told.alerting.tick()
    assert [line[2] for line in told.lines()] == ["0.5", "1"]
    assert minutes(told.told()) == [0, 600]
    told.clock.advance(3 * DAY)
    for _ in range(3):
        told.alerting.tick()
        told.clock.advance(2 * MINUTE)
    assert told.outbox
    assert told.outbox.notified() == {}, "under its lines for longer than is remembered"


def test_calls_dated_ahead_cross_a_line_when_their_time_comes(bench: Any) -> None:
    told = bench(window())
    told.alerting.tick()
    told.deliver([cents(1, 6, start_ns=NOW + 5 * MINUTE * SECOND)])
    told.alerting.tick()
    assert told.told() == []
    told.clock.advance(5 * MINUTE)
    told.alerting.tick()
    assert minutes(told.told()) == [5]
    told.clock.advance(5 * MINUTE)
    told.alerting.tick()
    assert len(told.told()) == 1


def test_spend_that_was_another_feature_s_after_all_arms_the_line_again(bench: Any) -> None:
    told = bench(window(per=["feature"]))
    told.deliver([cents(1, 6, span=2, parent=1)])
    told.deliver([cents(1, 0, span=1, tokens=0, feature="paid")])
    assert [scope for _, scope, _ in told.lines()] == [("",), ("paid",)]
    told.clock.advance(HOUR)
    told.deliver([cents(2, 6, start_ns=told.clock.now_ns)])
    assert [scope for _, scope, _ in told.lines()] == [("",), ("paid",), ("",)]


def test_another_limit_is_another_line_and_the_present_alone_is_decided_by_it(bench: Any) -> None:
    told = bench(window())
    told.deliver([cents(1, 12)])
    told.use(rules_of(window(limit_usd="0.20")))
    assert [line[2] for line in told.lines()] == ["0.5", "1", "0.5"]
    told.use(rules_of(window()))
    assert len(told.lines()) == 3
    told.clock.advance(25 * HOUR)
    told.use(rules_of(window(limit_usd="0.05")))
    assert len(told.lines()) == 3


def test_calls_without_a_price_are_told_of_once_a_time(bench: Any) -> None:
    told = bench(window(unpriced="warn"))
    for number in range(1, 4):
        told.deliver([cents(number, 1, model="never-heard-of", start_ns=told.clock.now_ns)])
        told.clock.advance(20 * HOUR)
    told.clock.advance(5 * HOUR)
    told.deliver([cents(9, 1, model="never-heard-of", start_ns=told.clock.now_ns)])
    events = told.told_of(EventType.UNPRICED)
    assert minutes(events) == [0, 65 * 60]


def test_where_memory_ends_the_window_is_kept_and_the_day_before_given_up(bench: Any) -> None:
    told = bench(window(per=["user"]))
    told.max_values = 12
    told.restart()
    for number in range(1, 25):
        told.deliver([cents(number, 1, user="u", start_ns=told.clock.now_ns)])
        told.clock.advance(3 * HOUR)
        told.alerting.tick()
    rule = told.rules.by_name("b")
    assert told.ledger.size() <= 12
    assert told.ledger.complete_from(rule) > rule.schedule.kept(told.clock.now_ns).start
    assert told.ledger.spend_in(rule, ("u",), period_at(rule, told.clock.now_ns)).calls == 7
    assert [line[2] for line in told.lines()] == ["0.5"]
