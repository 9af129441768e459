"""Kept sums of runs against their spans: after inserts, re-deliveries, earlier spans, restarts, and on old stores."""

from collections.abc import Iterator
from typing import Any

import pytest

from collector.model.principal import ANONYMOUS
from collector.query.listing import RunsWanted
from collector.query.service import Query
from collector.store import Store
from collector.store.migrate import migrations
from collector.store.run_sums import Batch, forget_summed, parts_of, rounds, sum_all, sum_part, unsummed
from collector.summing import Summing
from tests.support.clock import FakeClock

HOUR = 3600 * 10**9
NOON = 1_772_366_400 * 10**9  # 2026-03-01 12:00 UTC
COLUMNS = "TraceId, Start, End, Duration, Spans, Errors, InputTokens, Cost, UnpricedCalls, Models, RootName, AgentName"
SPAN = """
INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, ParentSpanId, SpanName, Duration, StatusCode, Version, Kind,
    ResponseModel, InputTokens, Cost, PriceStatus)
SELECT 'default', fromUnixTimestamp64Nano({at:Int64}, 'UTC'), lower(hex(sipHash128({run:UInt64}))),
    leftPad(toString({span:UInt64}), 16, '0'), if({span:UInt64} = 0, '', '0000000000000000'), 'name', 1000000, 'Ok',
    {version:UInt64}, 'llm', 'model', 10, toDecimal64({cost:String}, 12), 'priced'
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def summing(store: Store, clock: FakeClock) -> Iterator[Summing]:
    part = Summing(lambda: store, clock)
    yield part
    part._disconnect()
    part.close()


def span(store: Store, run: int, span: int, at: int = NOON, version: int = 1, cost: str = "0.25") -> None:
    store.command(SPAN, {"run": run, "span": span, "at": at, "version": version, "cost": cost})


def kept(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.query(f"SELECT {COLUMNS} FROM run_sums FINAL ORDER BY TraceId", {}).to_pylist()
    return rows


def view(store: Store) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = store.query(f"SELECT {COLUMNS} FROM runs ORDER BY TraceId", {}).to_pylist()
    return rows


def settle(summing: Summing, clock: FakeClock) -> None:
    """Until nothing is left to sum."""
    for _ in range(20):
        clock.advance(2)
        if summing.step() == 2.0 and not list(unsummed(summing._connected())):
            return
    pytest.fail("There is always something left to sum.")


def test_a_batch_is_summed_once_it_has_been_seen_for_a_second(store: Store, summing: Summing, clock: FakeClock) -> None:
    assert summing.step() > 0
    span(store, 1, 0)
    span(store, 2, 0)
    summing.step()
    clock.advance(0.5)
    summing.step()
    assert kept(store) == []
    clock.advance(0.6)
    summing.step()
    assert kept(store) == view(store)
    assert len(kept(store)) == 2
    (sample,) = summing.readings()
    assert sample.value == 2
    clock.advance(2)
    summing.step()
    (sample,) = summing.readings()
    assert sample.value == 0


def test_sums_follow_re_deliveries_and_prices(store: Store, summing: Summing, clock: FakeClock) -> None:
    for number in range(3):
        span(store, 1, number)
    settle(summing, clock)
    span(store, 1, 1)  # delivered again
    span(store, 1, 2, version=5, cost="0.75")  # priced again
    span(store, 1, 2, version=4, cost="0.5")  # which has arrived late
    assert kept(store) != view(store)
    settle(summing, clock)
    assert kept(store) == view(store)
    (run,) = kept(store)
    assert (run["Spans"], str(run["Cost"])) == (3, "1.250000000000")


def test_a_run_whose_earlier_span_comes_later_is_listed_once(store: Store, summing: Summing, clock: FakeClock) -> None:
    query, wanted = Query(lambda: store), RunsWanted(NOON - 100 * HOUR, NOON + 100 * HOUR)
    for hours in (5, 0, 3, -30, -31):  # over midnight too
        span(store, 1, hours + 31, NOON + hours * HOUR)
        for _ in range(2):  # before it is summed and after
            assert query.runs(ANONYMOUS, wanted).column("Start").to_pylist() == [row["Start"] for row in view(store)]
            settle(summing, clock)
        assert kept(store) == view(store)
    assert store.query("SELECT countIf(Gone) AS gone FROM run_sums", {}).column("gone")[0].as_py() > 4


def test_a_large_batch_is_summed_in_parts(store: Store, summing: Summing, clock: FakeClock) -> None:
    store.command(
        "INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, Version) SELECT 'default', "
        "fromUnixTimestamp64Nano(toInt64({at:Int64} + number * 1000000000), 'UTC'), lower(hex(sipHash128(number))), '0', 1 "
        "FROM numbers(50000)",
        {"at": NOON},
    )
    span(store, 60_000, 0)
    small, large = rounds(unsummed(store))
    assert ([batch.runs for batch in small], [batch.runs for batch in large]) == ([1], [50_000])
    assert len(parts_of(large)) == 3
    settle(summing, clock)
    assert len(kept(store)) == 50_001
    assert kept(store) == view(store)


def test_sums_are_made_sooner_while_somebody_reads(store: Store, clock: FakeClock) -> None:
    part = Summing(lambda: store, clock)
    query = Query(lambda: store, on_unsummed=part.want)
    wanted = RunsWanted(NOON - HOUR, NOON + HOUR)
    clock.advance(100)
    part._batches, part._took = [Batch(1, 1)], 3.0
    query.runs(ANONYMOUS, wanted)
    assert part._pause() == pytest.approx(10)  # nothing is to be summed
    span(store, 1, 0)
    query.runs(ANONYMOUS, RunsWanted(NOON + 5 * HOUR, NOON + 6 * HOUR))
    assert part._pause() == pytest.approx(10)  # nothing of these hours
    query.runs(ANONYMOUS, wanted)
    assert part._pause() == pytest.approx(7)
    clock.advance(31)
    assert part._pause() == pytest.approx(10)
    part.close()


def test_what_is_half_summed_is_summed_again_after_a_restart(store: Store, clock: FakeClock) -> None:
    span(store, 1, 0)
    (batches,) = rounds(unsummed(store))
    sum_part(store, parts_of(batches)[0])  # and the process ends
    assert unsummed(store) == batches
    sum_all(store)
    assert kept(store) == view(store)
    assert unsummed(store) == []


def test_batches_are_forgotten_when_all_of_their_time_are_summed(store: Store, clock: FakeClock) -> None:
    def count() -> list[int]:
        tables = ("runs_touched", "runs_summed")
        return [store.query(f"SELECT count() AS rows FROM {name}", {}).column("rows")[0].as_py() for name in tables]

    span(store, 1, 0)
    sum_all(store)
    span(store, 2, 0)
    (stamp,) = (batch.stamp for batch in unsummed(store))
    forget_summed(store, stamp + 2000 * 10**9)  # one of them is not summed
    assert count() == [2, 1]
    sum_all(store)
    forget_summed(store, stamp + 10 * 10**9)  # too early
    assert count() == [2, 2]
    forget_summed(store, stamp + 2000 * 10**9)
    assert count() == [0, 0]
    assert kept(store) == view(store)


def test_runs_stored_before_there_were_sums_are_summed(store: Store, summing: Summing, clock: FakeClock) -> None:
    for run in range(5):
        span(store, run, 0, NOON + run * HOUR // 2)
    for table in ("runs_touched_mv", "runs_touched", "runs_summed", "run_sums"):
        store.command(f"DROP TABLE {table}")
    changes = [found for found in migrations() if "run_sums" in found.text]
    for statement in (statement for change in changes for statement in change.statements):
        store.command(statement)
    assert [batch.runs for batch in unsummed(store)] == [1, 2, 2]
    query = Query(lambda: store)
    listed = query.runs(ANONYMOUS, RunsWanted(NOON, NOON + 10 * HOUR))
    assert listed.num_rows == 5
    settle(summing, clock)
    assert kept(store) == view(store)
    assert query.runs(ANONYMOUS, RunsWanted(NOON, NOON + 10 * HOUR)).equals(listed)
