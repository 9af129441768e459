"""One call that two instrumentations report in two traces is billed once, also with a restart between the two."""

import pytest

from collector.model.envelope import Envelope
from collector.store import Store
from tests.support import otlp
from tests.support.spending import NOW, RIGHT, Bench, rules_of

RULES = rules_of({"name": "all", "limit_usd": 1, "period": "month"})


def _report(case: int, trace: int, output: int, parent: bytes, start: int) -> Envelope:
    span = otlp.span(
        {
            "spanmeter.kind": "llm",
            "spanmeter.model": "small-model",
            "spanmeter.usage.input_tokens": 1000,
            "spanmeter.usage.output_tokens": output,
            "gen_ai.response.id": f"msg_01XFDUDYJgAACzvnptvVoYE{case}",
        },
        trace_id=trace.to_bytes(16, "big"),
        span_id=b"reporter",
        parent_span_id=parent,
        start_time_unix_nano=NOW + start,
        end_time_unix_nano=NOW + 1_000_000_000 - start,
    )
    return Envelope("default", NOW, 1, otlp.request(span).SerializeToString())


@pytest.mark.parametrize(
    ("case", "order", "restarts"), [(1, [0, 1], False), (2, [1, 0], False), (3, [0, 1], True), (4, [1, 0], True)]
)
def test_a_call_reported_in_two_traces_stays_in_its_run(
    store: Store, case: int, order: list[int], *, restarts: bool
) -> None:
    bench = Bench(store, RULES, RIGHT)
    run, lost = 10 * case, 10 * case + 1
    reports = [_report(case, run, 105, b"an agent", 0), _report(case, lost, 106, b"", 1_000_000)]
    for place in order:
        bench.write([reports[place]])
        if restarts:
            bench.restart()
    costs = "SELECT coalesce(Cost, 0) > 0 AS billed FROM otel_traces FINAL WHERE TraceId IN {traces:Array(String)} ORDER BY TraceId"
    rows = store.query(costs, {"traces": [f"{run:032x}", f"{lost:032x}"]})
    assert rows.column("billed").to_pylist() == [True, False]
