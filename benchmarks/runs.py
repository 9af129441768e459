"""Listing runs: a query over FINAL against a table that is refreshed with what it would answer.

    python -m benchmarks.runs [--spans 1000000]

Fills the embedded store with generated runs of 20 spans over three days, then prints the time of one page of runs, of
opening one run, and of computing the recent window that a refreshable view would recompute on every refresh.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from collector.config import StoreConfig
from collector.model.principal import ANONYMOUS
from collector.query.service import Dimension, Query
from collector.store import Store, migrate, open_store

_ROWS_AT_ONCE = 50_000
_FILL = """
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, SpanAttributes,
    Duration, StatusCode, Project, ReceivedAt, Version, Kind, ResponseModel, InputTokens, OutputTokens, Cost,
    PriceStatus, Input, Output)
SELECT
    toDateTime64('2026-11-18 00:00:00', 9, 'UTC')
        + toIntervalMicrosecond(intDiv(number, 20) * {step:UInt64} + number % 20),
    lower(hex(sipHash128(intDiv(number, 20)))),
    leftPad(lower(hex(cityHash64('s', number))), 16, '0'),
    if(number % 20 = 0, '', leftPad(lower(hex(cityHash64('s', number - number % 20))), 16, '0')),
    if(number % 20 = 0, 'invoke_agent', 'chat'), 'Internal', 'support-agent', map('k', toString(number % 100)),
    1000000, 'Ok', 'default', now64(9), 1, if(number % 20 = 0, 'agent', 'llm'),
    if(number % 20 = 0, '', 'gpt-4o-mini'), 1000, 100, if(number % 20 = 0, NULL, toDecimal64('0.00021', 12)),
    if(number % 20 = 0, 'not_a_call', 'priced'), randomPrintableASCII(300), randomPrintableASCII(100)
FROM numbers({begin:UInt64}, {count:UInt64})
"""
_WINDOW = "SELECT count(), sum(Cost) FROM runs WHERE TraceId IN (SELECT TraceId FROM otel_traces_trace_id_ts)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spans", type=int, default=1_000_000)
    spans = parser.parse_args().spans
    with tempfile.TemporaryDirectory(prefix="spanmeter-runs-") as name:
        store = open_store(StoreConfig(ttl=0), Path(name))
        migrate(store, 0)
        _fill(store, spans)
        _report(store, spans)
        store.close()


def _fill(store: Store, spans: int) -> None:
    step = 3 * 86_400_000_000 * 20 // spans
    for begin in range(0, spans, _ROWS_AT_ONCE):
        count = min(_ROWS_AT_ONCE, spans - begin)
        store.command(_FILL, {"begin": begin, "count": count, "step": step})


def _report(store: Store, spans: int) -> None:
    query = Query(lambda: store)
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
    page = query.runs(ANONYMOUS, since, until, 100)
    trace_id = page.column("TraceId")[50].as_py()
    day = until - timedelta(days=11)
    print(f"{spans:,} spans, {spans // 20:,} runs")
    _print("page of 100 runs", lambda: query.runs(ANONYMOUS, since, until, 100))
    _print("open one run", lambda: query.trace(ANONYMOUS, trace_id))
    _print("spend by model, 3 days", lambda: query.spend(ANONYMOUS, Dimension.MODEL, since, until))
    _print("spend by day, last day", lambda: query.spend(ANONYMOUS, Dimension.DAY, day, until))
    _print("all runs (one refresh of a view)", lambda: store.query(_WINDOW, {}), times=3)


def _print(name: str, ask: Callable[[], object], times: int = 20) -> None:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    seconds.sort()
    p50, p95 = statistics.median(seconds) * 1e3, seconds[int(times * 0.95) - 1] * 1e3
    print(f"{name:34} p50 {p50:8.1f} ms   p95 {p95:8.1f} ms")


if __name__ == "__main__":
    main()
