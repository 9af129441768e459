"""What spans were made for: said by them, by their kind, or by what stands above them; and who counts them."""

import itertools
import time
from collections.abc import Sequence
from decimal import Decimal

import pytest

from collector.billing import spans
from collector.billing.completing import Completer
from collector.billing.purposes_above import PurposesAbove
from collector.decode import decode
from collector.model.principal import ANONYMOUS
from collector.query.listing import RunsWanted
from collector.query.service import Dimension, Query
from collector.store import Store
from tests.support.calls import Call, envelope
from tests.support.clock import FakeClock
from tests.support.spending import RIGHT, Bench, rules_of

SECOND = 10**9
NOW = time.time_ns() - 300 * SECOND  # a start reads of the last hour what was stored then
EVAL = {"spanmeter.kind": "eval"}
ADVERSARY = {"spanmeter.purpose": "adversary"}
BUDGETS = [
    {"name": "product", "limit_usd": 1, "period": "month"},
    {"name": "each", "limit_usd": 1, "period": "month", "per": ["purpose"]},
    {"name": "both", "limit_usd": 1, "period": "month", "match": {"purpose": ["", "judge"]}, "per": ["agent"]},
]
# A run of the product (1 to 3) with an evaluator inside (4), whose calls (5, 6) say nothing of it.
RUN = [
    Call(1, 1, NOW),
    Call(1, 2, NOW + SECOND, 100, parent=1),
    Call(1, 3, NOW + 2 * SECOND, 200, parent=1),
    Call(1, 4, NOW + 3 * SECOND, parent=1, attributes=EVAL),
    Call(1, 5, NOW + 4 * SECOND, 1000, parent=4),
    Call(1, 6, NOW + 5 * SECOND, 2000, parent=5),
]
OTHER = [Call(2, 1, NOW, attributes=ADVERSARY), Call(2, 2, NOW + SECOND, 40_000, parent=1)]
_numbers = itertools.count()


class Path(Bench):
    """A daemon's way with what follows from stored spans."""

    def restart(self) -> None:
        self.clock = FakeClock(NOW)
        super().restart()
        self.above = PurposesAbove(Completer(self.billing, self.spending.writing, _refuse))

    def store_spans(self, calls: Sequence[Call]) -> None:
        self.clock.advance(0.001)
        batch = decode([envelope([call], self.clock.now_ns) for call in calls])
        enriched = self.billing.enrich(self.store, [batch])
        with self.spending.writing(self.store, enriched.traces, False) as feed:
            for day, rows, _ in enriched.by_day():
                feed.insert(self.store, rows, f"purposes-{next(_numbers)}/{day}")
            self.billing.write_revisions(self.store, enriched, feed.insert)
        spans.each(self.above.follow)(self.store, enriched)

    def purposes(self) -> dict[tuple[str, str], str]:
        rows = self.store.query("SELECT TraceId, SpanId, toString(Purpose) AS P FROM otel_traces FINAL", {}).to_pylist()
        return {(row["TraceId"], row["SpanId"]): row["P"] for row in rows}


def _refuse(_: str, error: Exception, __: object) -> None:
    raise error


EXPECTED = {(call.trace_id, call.span_id): "judge" if call.span >= 4 else "" for call in RUN} | {
    (call.trace_id, call.span_id): "adversary" for call in OTHER
}
ORDERS = {
    "at once": [[*RUN, *OTHER]],
    "parents first": [[call] for call in (*RUN, *OTHER)],
    "children first": [[call] for call in reversed((*RUN, *OTHER))],
    "twice": [[*RUN], [*OTHER], [*RUN]],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("restarts", [False, True], ids=["", "restarting"])
def test_calls_below_an_evaluator_are_its(store: Store, order: str, restarts: bool) -> None:
    path = Path(store, rules_of(*BUDGETS), RIGHT)
    for part in ORDERS[order]:
        if restarts:
            path.restart()
        path.store_spans(part)
    assert path.purposes() == EXPECTED
    path.assert_equal()
    kept = {rule.name: path.kept(rule) for rule in path.rules}
    tokens = {
        name: {scope: amount.tokens for cells in sums.values() for scope, amount in cells.items()}
        for name, sums in kept.items()
    }
    assert tokens == {
        "product": {(): 300},
        "each": {("",): 300, ("judge",): 3000, ("adversary",): 40_000},
        "both": {("",): 3300},
    }


def test_spend_and_lists_are_of_the_product(store: Store) -> None:
    path = Path(store, rules_of(*BUDGETS), RIGHT)
    path.store_spans([*RUN, *OTHER])
    query = Query(lambda: store)
    period = NOW - SECOND, NOW + 100 * SECOND

    def spent(by: Dimension, purpose: str = "") -> dict[str, Decimal]:
        return {row["Value"]: row["Cost"] for row in query.spend(ANONYMOUS, by, *period, purpose).to_pylist()}

    million = Decimal(1_000_000)
    assert spent(Dimension.MODEL) == {"small-model": 300 / million}
    assert spent(Dimension.AGENT) == {"": 300 / million}
    assert spent(Dimension.MODEL, "judge") == {"small-model": 3000 / million}
    assert spent(Dimension.FEATURE, "*") == {"": 43_300 / million}
    assert spent(Dimension.PURPOSE) == {
        "": 300 / million,
        "judge": 3000 / million,
        "adversary": 40_000 / million,
    }

    def listed(purpose: str) -> set[str]:
        return {run.trace_id for run in query.search(ANONYMOUS, RunsWanted(*period, purpose=purpose)).runs}

    assert listed("") == {RUN[0].trace_id}
    assert listed("adversary") == {OTHER[0].trace_id}
    assert listed("*") == {RUN[0].trace_id, OTHER[0].trace_id}


def test_spans_stored_before_have_the_purpose_of_their_kind(store: Store) -> None:
    store.command(
        "INSERT INTO otel_traces (Timestamp, Project, TraceId, SpanId, Kind) "
        "VALUES (now64(9), 'default', 'a', 'grader', 'eval'), (now64(9), 'default', 'a', 'call', 'llm')"
    )
    rows = store.query("SELECT SpanId, toString(Purpose) AS P FROM otel_traces", {}).to_pylist()
    assert {row["SpanId"]: row["P"] for row in rows} == {"grader": "judge", "call": ""}
