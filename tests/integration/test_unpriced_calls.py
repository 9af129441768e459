"""Calls whose cost is not known count alike wherever they are counted, and those with counts nobody reads are seen."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from prometheus_client import CollectorRegistry

from collector.billing.across_batches import Billing
from collector.billing.unread import unread_usage
from collector.budgets.span_facts import _coded, _unpriced
from collector.decode import decode
from collector.enrich import RecentTraces
from collector.model.envelope import Envelope
from collector.model.principal import ANONYMOUS
from collector.query.listing import RunsWanted
from collector.query.service import Dimension, Query
from collector.store import Store
from collector.telemetry import Metrics
from tests.support import stored
from tests.support.captured import CASES, captured
from tests.support.stored import ENRICHER

SINCE, UNTIL = 1_577_836_800 * 10**9, 4_102_444_800 * 10**9  # 2020 to 2100
START = 1_790_000_000_000_000_000
CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
USED = {"gen_ai.usage.input_tokens": 10}


def envelope(*spans: dict[str, Any], scope: str = "acme.tracing", failed: bool = False) -> Envelope:
    """A request in which each span is a trace of its own."""
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    scoped.scope.name = scope
    for number, attributes in enumerate(spans, 1):
        trace = f"{scope:12.12}{failed:d}{number:03d}".encode()
        span = scoped.spans.add(trace_id=trace, span_id=trace[8:], name=f"call {number}", start_time_unix_nano=START)
        span.end_time_unix_nano = START + 1_000_000
        if failed:
            span.status.code = Status.STATUS_CODE_ERROR
        for key, value in attributes.items():
            sent = span.attributes.add(key=key).value
            if isinstance(value, int):
                sent.int_value = value
            else:
                sent.string_value = value
    return Envelope("default", START, len(spans), request.SerializeToString())


def enriched(*envelopes: Envelope) -> pa.RecordBatch:
    reading = ENRICHER.read(decode(list(envelopes)))
    return ENRICHER.finish(reading, np.ones(reading.batch.num_rows, np.bool_))


def counted_by_spend(store: Store) -> int:
    answer = Query(lambda: store).spend(ANONYMOUS, Dimension.MODEL, SINCE, UNTIL).to_pylist()
    return sum(row["UnpricedCalls"] for row in answer)


def counted_by_runs(store: Store) -> int:
    listed = Query(lambda: store).runs(ANONYMOUS, RunsWanted(SINCE, UNTIL, limit=1000)).to_pylist()
    return sum(row["UnpricedCalls"] for row in listed)


def counted_by_the_view(store: Store) -> int:
    return int(store.query("SELECT sum(UnpricedCalls) AS n FROM runs", {}).to_pylist()[0]["n"])


def counted_by_budgets(store: Store) -> int:
    table = store.query("SELECT Kind, StatusCode, PriceStatus FROM otel_traces FINAL", {})
    batch = table.combine_chunks().to_batches()[0]
    return int(_unpriced(batch, _coded(batch.column("PriceStatus"))).sum())


def test_spend_runs_and_budgets_count_the_same_unpriced_calls(store: Store) -> None:
    made = [
        envelope({**CALL, **USED}, CALL, {**CALL, **USED, "gen_ai.request.model": "house-7b"}),
        envelope(CALL, {**CALL, **USED, "gen_ai.request.model": "house-7b"}, failed=True),
        envelope({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}, scope="tools"),
    ]
    stored.deliver(store, Billing(ENRICHER, RecentTraces(1000)), made, "made")
    assert counted_by_spend(store) == 3
    assert counted_by_runs(store) == counted_by_the_view(store) == counted_by_budgets(store) == 3


def test_captured_runs_have_as_many_unpriced_calls_in_spend_as_in_their_lists(store: Store) -> None:
    billing = Billing(ENRICHER, RecentTraces(100_000))
    for case in CASES:
        stored.deliver(store, billing, captured(case), case)
    assert counted_by_spend(store) > 0
    assert counted_by_spend(store) == counted_by_runs(store) == counted_by_the_view(store) == counted_by_budgets(store)


@pytest.mark.parametrize(
    ("attributes", "seen"),
    [
        ({**CALL, "acme.input_tokens": 12}, 1),
        ({**CALL, "acme.output_tokens": "12"}, 1),
        ({**CALL, "acme.input_tokens": 0, "acme.output_tokens": "many"}, 0),
        ({**CALL, "acme.input_tokens_per_second": 12}, 0),
        ({**CALL, **USED, "acme.input_tokens": 12}, 0),
        ({"gen_ai.operation.name": "execute_tool", "acme.input_tokens": 12}, 0),
    ],
)
def test_a_call_with_counts_nobody_reads_is_counted_by_its_scope(attributes: dict[str, Any], seen: int) -> None:
    batch = enriched(envelope(CALL), envelope(attributes, attributes, scope="acme.llm"))
    assert unread_usage(batch) == ({"acme.llm": 2 * seen} if seen else {})


def test_of_scopes_only_so_many_become_labels() -> None:
    metrics = Metrics(CollectorRegistry())
    for number in range(150):
        metrics.count_unread_usage(f"scope {number}", 2)
    name = "spanmeter_unread_usage_calls_total"
    assert metrics.registry.get_sample_value(name, {"scope": "scope 7"}) == 2
    assert metrics.registry.get_sample_value(name, {"scope": "other"}) == 100
