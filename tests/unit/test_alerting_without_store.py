"""From spans to events: attribution, ledger, decisions and outbox, while all that was spent is in memory."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from collector.budgets.attribution import Attribution
from collector.budgets.ledger import Changes, Ledger
from collector.budgets.span_facts import span_facts
from collector.budgets.views import top
from collector.decode import decode
from collector.enrich import RecentTraces
from collector.errors import Unavailable
from collector.model.budgets import EventType
from collector.spending.alerting import Alerting
from collector.webhooks.outbox import Outbox
from tests.support.alerting import DAY, SECOND, budget, cents
from tests.support.calls import Call, envelope
from tests.support.clock import FakeClock
from tests.support.spending import NOW, RIGHT, rules_of

THRESHOLD, BREACHED = EventType.THRESHOLD_REACHED, EventType.BREACHED


class Office:
    """One budget per feature, ten cents a day, and everybody who keeps it."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "webhooks.db"
        self.clock = FakeClock(NOW)
        self.rules = rules_of(budget(per=["feature"]))
        self.ledger = Ledger(1000)
        self.ledger.keep(self.rules)
        self.ledger.advance(NOW)
        self.begin_period()
        self.traces = RecentTraces(1000)
        self.attribution = Attribution(self.rules, self.ledger, lambda _: None)
        self.open()

    def open(self) -> None:
        """What a new process has: the outbox."""
        self.outbox = Outbox(self.file, self.clock)
        known = partial(top, self.ledger)
        self.alerting = Alerting(
            self.rules, self.ledger, self.outbox, self.clock, lambda: None, lambda: "http://spend", lambda *_: {}, known
        )

    def begin_period(self) -> None:
        """Nothing is stored of the period that is now."""
        for rule in self.rules:
            self.ledger.load(rule, rule.schedule.current(self.clock.now_ns).start, {})

    def post(self, *calls: Call) -> Changes:
        """Bill and count what would be stored."""
        reading = RIGHT.read(decode([envelope([call], self.clock.now_ns) for call in calls]))
        billed = self.traces.absorb(reading.spans)
        facts = span_facts(RIGHT.finish(reading, billed.billed), self.rules.fields)
        self.traces.confirm(reading.spans, billed)
        changes = Changes()
        self.attribution.absorb(facts, changes, self.clock.now_ns)
        return changes

    def lines(self) -> list[tuple[EventType, tuple[str, ...], str]]:
        events = self.outbox.events(limit=100)[::-1]
        return [(event.type, event.scope, event.threshold) for event in events if event.type is not EventType.FORECAST]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.outbox.close()


def test_a_line_is_crossed_once_however_often_it_is_decided(office: Office) -> None:
    changes = office.post(cents(1, 6, feature="search"), cents(2, 1, feature="checkout"))
    for _ in range(2):
        office.alerting.evaluate(changes)
    office.outbox.close()
    office.open()
    office.alerting.evaluate(changes)
    office.alerting.decide_all()
    assert office.lines() == [(THRESHOLD, ("search",), "0.5")]


def test_the_call_that_crossed_a_line_is_named(office: Office) -> None:
    crossing = cents(2, 3, feature="search")
    office.alerting.evaluate(office.post(cents(1, 3, feature="search"), crossing, cents(3, 1, feature="search")))
    (event,) = (event for event in office.outbox.events(limit=100) if event.type is THRESHOLD)
    assert event.data["crossed_by"]["trace_id"] == crossing.trace_id


def test_one_write_may_cross_all_lines(office: Office) -> None:
    office.alerting.evaluate(office.post(cents(1, 11, feature="search")))
    assert office.lines() == [(THRESHOLD, ("search",), line) for line in ("0.5", "0.8")] + [
        (BREACHED, ("search",), "1")
    ]


def test_a_new_period_is_an_event_where_the_one_before_crossed_a_line(office: Office) -> None:
    office.alerting.evaluate(office.post(cents(1, 6, feature="search"), cents(2, 1, feature="checkout")))
    office.clock.advance(DAY / SECOND)
    office.begin_period()
    for _ in range(2):
        office.alerting.tick()
    assert office.lines()[1:] == [(EventType.RESET, ("search",), "")]


def test_what_the_outbox_could_not_keep_is_decided_again(office: Office) -> None:
    changes = office.post(cents(1, 6, feature="search"))
    office.outbox.close()
    with pytest.raises(Unavailable):
        office.alerting.evaluate(changes)
    office.open()
    office.alerting.evaluate(changes)
    assert office.lines() == [(THRESHOLD, ("search",), "0.5")]


def test_a_call_that_turns_out_to_be_anothers_double_is_taken_back(office: Office) -> None:
    """The parent reports the sum of its call, which arrives first: only one of the two is billed."""
    call = Call(trace=1, span=2, start_ns=NOW, tokens=30_000, parent=1, feature="search")
    office.alerting.evaluate(office.post(call))
    office.alerting.evaluate(office.post(Call(trace=1, span=1, start_ns=NOW, tokens=30_000, feature="search")))
    ((scope, amount),) = office.ledger.cells(office.rules.by_name("b"), NOW // DAY * DAY).items()
    assert (scope, amount.tokens, amount.calls) == (("search",), 30_000, 1)
