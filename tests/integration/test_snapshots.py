"""Snapshots of a span: the most complete counts, then the last to arrive, however they are ordered, split and restarted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.model.columns import LATEST_NS
from collector.model.envelope import Envelope
from collector.model.principal import ANONYMOUS
from collector.model.versions import ENDED, RESOLUTION_NS, USAGE, version_of
from collector.query.listing import RunsWanted
from collector.query.service import Dimension, Query
from collector.store import Store
from tests.support import otlp
from tests.support.spending import NOW, RIGHT, Bench, rules_of

HOUR = 3_600 * 1_000_000_000
MIDNIGHT = (NOW // (24 * HOUR) + 1) * 24 * HOUR
BUDGETS = rules_of(
    {"name": "all", "limit_usd": 1, "period": "month"},
    {"name": "feature", "limit_usd": 1, "period": "day", "per": ["feature"]},
)
# Of before there were ranks: the time of receipt.
STORED_BEFORE = """
INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, Version, ReceivedAt, Kind, InputTokens, PriceStatus, Cost)
SELECT 'default', fromUnixTimestamp64Nano({start:Int64}), {trace:String}, {span:String}, {received:UInt64},
    fromUnixTimestamp64Nano({received:Int64}), 'llm', 700, 'priced', 0.0007
"""


@dataclass(frozen=True)
class Snapshot:
    """What a library sends of a span. `tokens` are its usage, None without; `pending`: as Logfire has open ones."""

    span: int
    ended: bool
    tokens: int | None = None
    trace: int = 1
    feature: str = ""
    pending: bool = False
    start: int = NOW

    def envelope(self, received_at: int) -> Envelope:
        attributes: dict[str, Any] = {"spanmeter.kind": "llm", "spanmeter.model": "small-model"}
        if self.tokens is not None:
            attributes["spanmeter.usage.input_tokens"] = self.tokens
        if self.feature:
            attributes["spanmeter.feature"] = self.feature
        parent = b"" if self.span == 1 else _id(1)
        own, end = _id(self.span), self.start + HOUR if self.ended else 0
        if self.pending:
            attributes |= {"logfire.span_type": "pending_span", "logfire.pending_parent_id": parent.hex() or "0" * 16}
            own, parent, end = _id(self.span + 100), own, self.start
        span = otlp.span(
            attributes,
            trace_id=self.trace.to_bytes(16, "big"),
            span_id=own,
            parent_span_id=parent,
            start_time_unix_nano=self.start,
            end_time_unix_nano=end,
        )
        return Envelope("default", received_at, 1, otlp.request(span).SerializeToString())

    @property
    def key(self) -> tuple[str, str]:
        return self.trace.to_bytes(16, "big").hex(), _id(self.span).hex()

    @property
    def rank(self) -> tuple[bool, bool]:
        return self.ended, bool(self.tokens)


def _id(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _sent(snapshots: Sequence[Snapshot]) -> list[Envelope]:
    """As they arrive, a microsecond apart."""
    return [snapshot.envelope(NOW + 1000 * number) for number, snapshot in enumerate(snapshots)]


def _winners(snapshots: Sequence[Snapshot]) -> dict[tuple[str, str], Snapshot]:
    found: dict[tuple[str, str], Snapshot] = {}
    for snapshot in snapshots:
        if snapshot.key not in found or snapshot.rank >= found[snapshot.key].rank:
            found[snapshot.key] = snapshot
    return found


def _answers(bench: Bench) -> list[Any]:
    """Everything that tells of money and runs."""
    bench.assert_equal()
    query = Query(lambda: bench.store)
    columns = "* EXCEPT (Version, Timestamp, ReceivedAt, `Events.Timestamp`), toUnixTimestamp64Nano(Timestamp) AS Start"
    return [
        bench.store.query(f"SELECT {columns} FROM otel_traces FINAL ORDER BY TraceId, SpanId", {}).to_pylist(),
        query.runs(ANONYMOUS, RunsWanted(0, LATEST_NS)).drop_columns(["Start", "End"]).to_pylist(),
        query.spend(ANONYMOUS, Dimension.FEATURE, 0, LATEST_NS).to_pylist(),
        [bench.kept(rule) for rule in bench.rules],
    ]


def _tokens(bench: Bench) -> dict[tuple[str, str], int]:
    rows = bench.store.query("SELECT TraceId, SpanId, InputTokens FROM otel_traces FINAL", {}).to_pylist()
    assert len({(row["TraceId"], row["SpanId"]) for row in rows}) == len(rows)
    return {(row["TraceId"], row["SpanId"]): row["InputTokens"] for row in rows}


@pytest.fixture
def bench(store: Store) -> Bench:
    return _emptied(store)


def _emptied(store: Store) -> Bench:
    for table in ("otel_traces", "otel_traces_trace_id_ts"):
        store.command(f"TRUNCATE TABLE {table}")
    return Bench(store, BUDGETS, RIGHT)


some = st.sampled_from
snapshots = st.lists(
    st.builds(
        lambda kind, usage, span, trace, feature: (*kind, usage, span, trace, feature),
        kind=some([(True, False), (True, False), (False, False), (False, True)]),
        usage=some([None, 0, 1, 1]),
        span=st.integers(1, 3),
        trace=st.integers(1, 2),
        feature=some(["", "a", "b"]),
    ),
    min_size=1,
    max_size=9,
).map(
    lambda several: [
        # Other tokens in each, so that calls are not taken for doubles of each other.
        Snapshot(span, ended, usage and 1000 * span + 100 * trace + number, trace, feature, pending)
        for number, (ended, pending, usage, span, trace, feature) in enumerate(several)
    ]
)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=snapshots, data=st.data())
def test_any_order_split_and_restart_ends_with_the_same_rows_and_sums(
    store: Store, sent: list[Snapshot], data: Any
) -> None:
    envelopes = _sent(sent)
    bench = _emptied(store)
    bench.write(envelopes)
    expected = _answers(bench)
    assert _tokens(bench) == {key: snapshot.tokens or 0 for key, snapshot in _winners(sent).items()}
    bench = _emptied(store)
    order = data.draw(st.permutations(envelopes))
    while order:
        size = data.draw(st.integers(1, len(order)))
        bench.write(order[:size], again=data.draw(st.booleans()))
        order = order[size:]
        if data.draw(st.booleans()):
            bench.restart()
    assert _answers(bench) == expected


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_start_that_is_sent_again_rounded_over_midnight_still_counts_once(store: Store, data: Any) -> None:
    exact = MIDNIGHT - 400_000
    rounded = [Snapshot(2, ended=True, tokens=500, start=start) for start in (exact, MIDNIGHT, MIDNIGHT - HOUR)]
    order = data.draw(st.permutations(_sent([Snapshot(2, ended=False, start=exact), *rounded])))
    bench = _emptied(store)
    while order:
        size = data.draw(st.integers(1, len(order)))
        bench.write(order[:size])
        order = order[size:]
        if data.draw(st.booleans()):
            bench.restart()
    rows, runs, spend, (month, _) = _answers(bench)
    assert [row["InputTokens"] for row in rows] == [500]
    assert [(run["Spans"], run["LlmCalls"], run["InputTokens"]) for run in runs] == [(1, 1, 500)]
    assert [(row["PricedCalls"], row["InputTokens"]) for row in spend] == [(1, 500)]
    assert [amount.tokens for cells in month.values() for amount in cells.values()] == [500]
    assert abs(rows[0]["Start"] - exact) <= HOUR


def test_a_late_snapshot_takes_nothing_from_a_finished_call(bench: Bench) -> None:
    finished, late = _sent([Snapshot(1, ended=True, tokens=1000), Snapshot(1, ended=False)])
    bench.write([finished])
    before = _answers(bench)
    for envelope in (late, finished, late):
        bench.write([envelope])
        assert _answers(bench) == before


def test_usage_of_an_open_span_is_taken_back_when_it_ends_without(bench: Bench) -> None:
    both = [Snapshot(1, ended=True, tokens=1000), Snapshot(2, ended=False, tokens=500), Snapshot(2, ended=True)]
    for envelope, tokens in zip(_sent(both), (1000, 1500, 1000), strict=True):
        bench.write([envelope])
        bench.assert_equal()
        (cells,) = bench.kept(bench.rules.by_name("all")).values()
        assert cells[()].tokens == tokens


def test_a_pending_span_of_logfire_is_a_snapshot_of_the_span_it_stands_for(bench: Bench) -> None:
    pending, ended = _sent([Snapshot(2, ended=False, pending=True), Snapshot(2, ended=True, tokens=1000)])
    bench.write([pending])
    assert bench.store.query("SELECT SpanId, ParentSpanId FROM otel_traces FINAL", {}).to_pylist() == [
        {"SpanId": _id(2).hex(), "ParentSpanId": _id(1).hex()}
    ]
    bench.write([ended])
    assert _tokens(bench) == {Snapshot(2, ended=True).key: 1000}


@pytest.mark.parametrize(
    ("after", "tokens"), [(Snapshot(1, ended=False, tokens=5), 700), (Snapshot(1, ended=True, tokens=900), 900)]
)
def test_a_row_of_before_there_were_ranks_is_between_open_and_ended(bench: Bench, after: Snapshot, tokens: int) -> None:
    trace, span = after.key
    bench.store.command(STORED_BEFORE, {"start": NOW, "trace": trace, "span": span, "received": NOW})
    bench.restart()
    bench.write([after.envelope(NOW + 1000)])
    assert _tokens(bench) == {after.key: tokens}
    bench.assert_equal()


def test_ranks_leave_room_for_every_time_of_receipt() -> None:
    open_, ended = (version_of(2**63 - 1, ended=ended) for ended in (False, True))
    assert open_ == 2**63 // RESOLUTION_NS - 1 < USAGE
    assert open_ | USAGE < 1 << 60 < ENDED == version_of(0, ended=True)
    assert ended | USAGE < 2**63
