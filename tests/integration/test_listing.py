"""Pages of runs against the view `runs`, which reads everything: the same runs with the same sums, none left out."""

import itertools
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from collector.model.principal import ANONYMOUS
from collector.model.times import nanoseconds
from collector.query.listing import RunsWanted
from collector.query.run_rows import RunKey
from collector.query.service import Query
from collector.store import Store
from collector.store.migrate import migrations
from collector.store.run_sums import sum_all

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
END = BEGIN + timedelta(days=4)

# 200 runs of 8 spans, one begun every 20 minutes in a random order of trace ids; every seventh goes on for hours, some
# over midnight. The second version of a row has another model, price and feature for some rows. Of three runs begun in
# the same hour two begin in the same nanosecond.
FILL = """
INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, Duration, StatusCode,
    Version, Kind, ResponseModel, RequestModel, Feature, AgentName, InputTokens, OutputTokens, Cost, PriceStatus)
WITH intDiv(number, 8) AS run, number % 8 AS place, {version:UInt64} = 2 AND number % 5 = 0 AS changed
SELECT
    if(run % 10 = 9, 'other', 'default'),
    toDateTime64('2026-03-01 12:00:00', 9, 'UTC') + toIntervalMinute(20 * (run - (run % 3 = 1)))
        + toIntervalNanosecond(place * 1001) + toIntervalMinute(if(run % 7 = 0, 95 * place, 0)),
    lower(hex(sipHash128(run))),
    leftPad(lower(hex(number)), 16, '0'),
    if(place = 0, '', leftPad(lower(hex(number - place)), 16, '0')),
    concat('span ', toString(place)), 'service', 1000000, if(number % 11 = 0, 'Error', 'Ok'),
    {version:UInt64},
    if(place = 0, 'agent', 'llm'),
    if(place = 7, concat('model-', toString((run + changed) % 9)), ''), if(place > 5, 'requested', ''),
    if(place = 6 AND NOT changed, concat('feature-', toString(run % 4)), ''), if(place = 0, 'agent', ''),
    100, 10, if(place = 0 OR changed, NULL, toDecimal64('0.01', 12)),
    multiIf(place = 0, 'rolled_up', changed, 'unknown_model', 'priced')
FROM numbers(1600)
WHERE {version:UInt64} = 1 OR number % 3 = 0
"""


@pytest.fixture(params=["from spans", "kept"])
def filled(store: Store, request: pytest.FixtureRequest) -> Store:
    for version in (2, 1):
        store.command(FILL, {"version": version})
    if request.param == "kept":
        sum_all(store)
    return store


def pages(store: Store, wanted: RunsWanted) -> list[dict[str, Any]]:
    """Every page, one after the other."""
    found: list[dict[str, Any]] = []
    after = wanted.after
    while True:
        page = replace(wanted, after=after)
        rows = _plain(
            Query(lambda: store)
            .runs(ANONYMOUS, page)
            .select(store.query("SELECT * FROM runs LIMIT 0", {}).column_names)
        )
        found += rows
        if len(rows) < wanted.limit:
            return found
        after = RunKey(rows[-1]["Start"], rows[-1]["TraceId"])


def expected(store: Store, wanted: RunsWanted) -> list[dict[str, Any]]:
    rows = _plain(store.query("SELECT * FROM runs WHERE Project = 'default' ORDER BY Start DESC, TraceId", {}))
    since, until = wanted.since, wanted.until
    return [
        row
        for row in rows
        if since <= row["Start"] < until
        and (not wanted.model or wanted.model in row["Models"])
        and wanted.feature in ("", row["Feature"])
    ]


def _plain(table: pa.Table) -> list[dict[str, Any]]:
    kinds = [pa.field(f.name, pa.int64() if pa.types.is_timestamp(f.type) else f.type) for f in table.schema]
    rows: list[dict[str, Any]] = table.cast(pa.schema(kinds)).to_pylist()
    return rows


@pytest.mark.parametrize("limit", [1000, 7])
def test_pages_are_the_view(filled: Store, limit: int) -> None:
    wanted = RunsWanted(nanoseconds(BEGIN - timedelta(days=300)), nanoseconds(END + timedelta(days=300)), limit=limit)
    listed = pages(filled, wanted)
    assert listed == expected(filled, wanted)
    assert len(listed) == 180
    assert sum(row["Spans"] for row in listed) == 180 * 8


@pytest.mark.parametrize("seed", range(3))
def test_any_period_limit_and_filter(filled: Store, seed: int) -> None:
    chance = random.Random(seed)
    filters: list[dict[str, Any]] = [
        {},
        {"model": "model-3"},
        {"feature": "feature-1"},
        {"model": "model-4", "feature": "feature-2"},
    ]
    for only in filters:
        since = nanoseconds(BEGIN + timedelta(minutes=chance.randrange(2000))) + chance.randrange(10_000)
        until = since + chance.randrange(4000) * 60 * 10**9
        wanted = RunsWanted(since, until, limit=chance.choice([9, 20, 100]), **only)
        assert pages(filled, wanted) == expected(filled, wanted)


def test_rare_and_absent_values_are_looked_for_in_the_whole_period(filled: Store) -> None:
    filled.command(
        "INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, Version, Feature) "
        "SELECT 'default', min(Timestamp), argMin(TraceId, Timestamp), 'ffffffffffffffff', 1, 'rare' FROM otel_traces"
    )
    for feature, runs in (("rare", 1), ("absent", 0)):
        wanted = RunsWanted(nanoseconds(BEGIN), nanoseconds(END), limit=2, feature=feature)
        assert pages(filled, wanted) == expected(filled, wanted)
        assert len(pages(filled, wanted)) == runs


def test_an_empty_table_has_no_runs(store: Store) -> None:
    empty = Query(lambda: store).runs(ANONYMOUS, RunsWanted(nanoseconds(BEGIN), nanoseconds(END)))
    full = store.query("SELECT * FROM runs", {})
    assert empty.num_rows == 0
    assert set(full.column_names) <= set(empty.column_names)


def test_a_run_longer_than_any_slice_is_listed_where_it_began(store: Store) -> None:
    for number, hour in enumerate(itertools.accumulate((0, 1, 30, 300, 5000))):
        store.command(
            "INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, Version) "
            "SELECT 'default', {at:DateTime}, '0123456789abcdef0123456789abcdef', toString({n:UInt64}), 1",
            {"at": BEGIN + timedelta(hours=hour), "n": number},
        )
    wanted = RunsWanted(nanoseconds(BEGIN - timedelta(hours=1)), nanoseconds(BEGIN + timedelta(days=30)), limit=1)
    assert [row["Spans"] for row in pages(store, wanted)] == [5]
    assert pages(store, RunsWanted(nanoseconds(BEGIN + timedelta(hours=1)), wanted.until)) == []


LOOKUP = "SELECT TraceId, Project, min(Start), max(End) FROM otel_traces_trace_id_ts GROUP BY ALL ORDER BY ALL"


def test_the_lookup_is_copied_and_fed_after_its_migration(filled: Store) -> None:
    before = filled.query(LOOKUP, {})
    migration = next(found for found in migrations() if found.name == "trace_lookup_granules")
    for statement in migration.statements:
        filled.command(statement)
    assert before.num_rows == 200
    assert filled.query(LOOKUP, {}).equals(before)
    filled.command(FILL.replace("sipHash128(run)", "sipHash128(run + 100)"), {"version": 1})
    assert filled.query(LOOKUP, {}).num_rows > 200
