"""The rows of a segment as billed: who is, what is unknown, and which traces they touch."""

import pyarrow as pa
import pytest

from collector.billing.across_batches import EnrichedRows
from collector.billing.spans import Ahead, ahead_of_receipt
from collector.decode import decode
from collector.enrich import RecentTraces
from collector.model.columns import TEXT
from collector.model.money import PriceStatus
from tests.support.calls import Call, envelope
from tests.support.spending import NOW, RIGHT

HOUR = 3_600 * 10**9


@pytest.fixture
def traces() -> RecentTraces:
    return RecentTraces(1000)


def enriched(traces: RecentTraces, *segments: list[Call]) -> EnrichedRows:
    """A batch a segment, billed together."""
    readings = [RIGHT.read(decode([envelope([call], NOW) for call in calls])) for calls in segments]
    spans = pa.concat_batches([reading.spans for reading in readings])
    return EnrichedRows(RIGHT, readings, spans, traces.absorb(spans))


def statuses(rows: EnrichedRows) -> list[str]:
    return [
        status
        for _, part, _ in rows.by_day()
        for batch in part.to_batches()
        for status in batch.column("PriceStatus").cast(TEXT).to_pylist()
    ]


def test_a_parent_in_another_batch_is_rolled_up(traces: RecentTraces) -> None:
    call, parent = Call(1, 2, NOW, 500, parent=1), Call(1, 1, NOW, 500)
    rows = enriched(traces, [call], [parent])
    assert statuses(rows) == [PriceStatus.PRICED.value, PriceStatus.ROLLED_UP.value]
    assert rows.num_rows == 2


def test_unknown_models_are_counted_once_however_often_rows_are_made(traces: RecentTraces) -> None:
    rows = enriched(
        traces, [Call(1, 1, NOW, 500, model="mystery"), Call(2, 1, NOW, 700)], [Call(3, 1, NOW, 1, "mystery")]
    )
    for _ in range(2):
        assert statuses(rows).count(PriceStatus.UNKNOWN_MODEL.value) == 2
        assert rows.unpriced == {"mystery": 2}


def test_rows_touch_their_traces_and_those_that_are_billed_otherwise_now(traces: RecentTraces) -> None:
    first = enriched(traces, [Call(1, 1, NOW, 500)])
    traces.confirm(first.spans, first.billed)
    second = enriched(traces, [Call(1, 2, NOW, 500, parent=1)])
    project, trace = "default", Call(1, 1, NOW).trace_id
    assert second.traces() == {(project, trace)}
    assert second.billed.revise == {((project, trace), Call(1, 1, NOW).span_id): False}
    assert statuses(second) == [PriceStatus.PRICED.value]


def test_spans_of_clocks_that_are_ahead_are_counted_with_the_skew() -> None:
    right = decode([envelope([Call(1, 1, NOW - HOUR, 5), Call(1, 2, NOW, 5)], NOW)])
    wrong = decode([envelope([Call(2, 1, NOW + HOUR, 5), Call(2, 2, NOW + 10**9, 5), Call(2, 3, NOW + 3 * HOUR)], NOW)])
    assert ahead_of_receipt([]) == ahead_of_receipt([right]) == Ahead(0, 0.0)
    assert ahead_of_receipt([right, wrong, right]) == Ahead(2, 3 * 3600.0)
