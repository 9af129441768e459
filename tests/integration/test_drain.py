"""The drain with the real engine: every row once, poison aside, nothing lost while the store is away."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from collector.billing.across_batches import Billing
from collector.billing.price_refresh import enricher
from collector.cli import main
from collector.config import PricingConfig, SpoolConfig, StoreConfig
from collector.decode import decode
from collector.drain import Drain
from collector.enrich import RecentTraces
from collector.errors import Reason, Rejected, Unavailable
from collector.model.envelope import Envelope, Signal
from collector.spool import DeadLetter, Segment, Spool
from collector.store import Store, open_store
from collector.store.errors import OutOfMemory
from collector.storing import Poison, Postponed, decoding, log_path, metric_path, span_path
from collector.storing.attempts import WHOLE
from collector.storing.delivery import CALM_SECONDS
from collector.storing.times import ANY_TIME, TimeLimits
from collector.telemetry import Metrics
from collector.telemetry.catalogue import DRAIN_UNREADABLE_SEGMENTS
from tests.support.clock import FakeClock
from tests.support.signals import gauge, log_envelope, metric_envelope, total
from tests.support.signals import number as point
from tests.support.spans import DAY_NS, START_NS, envelope, request
from tests.support.waiting import wait_until

REFUSE_POISON = "ALTER TABLE otel_traces ADD CONSTRAINT no_poison CHECK SpanName != 'poison'"
ALLOW_POISON = "ALTER TABLE otel_traces DROP CONSTRAINT no_poison"


class Bench:
    """A spool, its dead letter and the drain between them and the store."""

    def __init__(self, directory: Path, store: Store) -> None:
        self.directory = directory
        self.store: Store | None = store
        self.clock = FakeClock()
        self.metrics = Metrics(CollectorRegistry())
        self.limits = ANY_TIME
        self.open()

    def open(self) -> None:
        config = SpoolConfig.model_validate({"min_free_bytes": 0})
        self.spool = Spool(self.directory / "spool", config, self.clock)
        self.deadletter = DeadLetter(self.directory / "spool" / "deadletter", 1_000_000)
        billing = Billing(enricher(PricingConfig()), RecentTraces(10_000))
        self.drain = Drain(
            self.spool,
            self.deadletter,
            self.present_store,
            {Signal.TRACES: span_path(billing, self.metrics, limits=self.limits)},
            self.clock,
            self.metrics,
            flush_interval=0,
            retry_max_interval=0.05,
        )

    def close(self) -> None:
        self.drain.close()
        self.spool.close()

    def reopen(self) -> None:
        """What a new process finds."""
        self.close()
        self.open()

    def present_store(self) -> Store:
        if self.store is None:
            raise Unavailable(Reason.STORE, "The store is away.")
        return self.store

    def spooled(self, *envelopes: Envelope) -> Segment:
        """One sealed segment with these envelopes."""

        async def run() -> None:
            await asyncio.gather(*[self.spool.append(item) for item in envelopes])

        asyncio.run(run())
        self.spool.seal()
        segment = self.spool.oldest()
        assert segment
        return segment

    def run_until_empty(self) -> None:
        async def run() -> None:
            self.drain.finish()
            await self.drain.run()

        asyncio.run(run())
        assert self.spool.oldest() is None

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"spanmeter_{name}_total", labels) or 0.0


@pytest.fixture
def bench(tmp_path: Path, store: Store) -> Iterator[Bench]:
    made = Bench(tmp_path, store)
    yield made
    made.close()


def names(store: Store) -> list[str]:
    """Names of all rows there are, duplicates included."""
    table = store.query("SELECT SpanName FROM otel_traces ORDER BY SpanName", {})
    return [str(name) for name in table.column(0).to_pylist()]


def span_names(count: int, prefix: str = "span") -> list[str]:
    return [f"{prefix}-{number:03}" for number in range(count)]


def test_a_segment_becomes_rows_and_is_gone(bench: Bench, store: Store) -> None:
    bench.spooled(envelope(1, ["a", "b"]), envelope(2, ["c"]))
    bench.run_until_empty()
    assert names(store) == ["a", "b", "c"]
    assert bench.counted("drain_stored_spans") == 3
    assert list((bench.directory / "spool").glob("*.seg")) == []


def test_a_segment_delivered_again_inserts_nothing(bench: Bench, store: Store) -> None:
    """What happens when the process dies between the insert and the commit."""
    segment = bench.spooled(envelope(1, ["a", "b"]))
    bench.drain.delivery.deliver(segment)
    bench.reopen()
    assert bench.spool.oldest() == segment
    bench.drain.delivery.deliver(segment)
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    lookup = store.query("SELECT count() FROM otel_traces_trace_id_ts", {})
    assert lookup.column(0).to_pylist() == [1]


def test_different_segments_with_equal_rows_both_insert_and_final_counts_once(bench: Bench, store: Store) -> None:
    """The token is the segment's, not the data's; rows sent twice are told apart by their key."""
    bench.spooled(envelope(1, ["a"]))
    bench.run_until_empty()
    bench.spooled(envelope(1, ["a"]))
    bench.run_until_empty()
    assert names(store) == ["a", "a"]
    assert store.command("SELECT count() FROM otel_traces FINAL") == 1


def test_several_days_are_one_insert_each_and_repeatable(bench: Bench, store: Store) -> None:
    spans = [envelope(day + 1, span_names(3, f"day{day:02}"), start_ns=START_NS + day * DAY_NS) for day in range(20)]
    segment = bench.spooled(*spans)
    bench.drain.delivery.deliver(segment)
    bench.reopen()
    bench.run_until_empty()
    assert len(names(store)) == len(set(names(store))) == 60
    assert store.command("SELECT uniqExact(_partition_id) FROM otel_traces") == 20


def test_interleaved_days_keep_each_row_whole(bench: Bench, store: Store) -> None:
    bench.spooled(*[envelope(n + 1, [f"n{n}"], start_ns=START_NS + (n % 3) * DAY_NS) for n in range(30)])
    bench.run_until_empty()
    wrong = "SELECT count() FROM otel_traces WHERE toUInt64(substring(SpanName, 2)) + 1 != reinterpretAsUInt64(reverse(unhex(TraceId)))"
    assert len(names(store)) == 30
    assert store.command(wrong) == 0


def test_times_the_table_cannot_hold_are_those_of_arrival_and_counted(bench: Bench, store: Store) -> None:
    bench.spooled(
        envelope(1, ["zero"], start_ns=0),
        envelope(2, ["late", "later"], start_ns=2**64 - 2_000_000),
        envelope(3, ["now"]),
    )
    bench.run_until_empty()
    assert bench.counted("drain_clamped_timestamps") == 2
    table = store.query("SELECT SpanName, toUnixTimestamp64Nano(Timestamp) FROM otel_traces ORDER BY SpanName", {})
    times = dict(zip(*[column.to_pylist() for column in table.columns], strict=True))
    assert times == {"zero": 0, "late": START_NS, "later": START_NS, "now": START_NS}


def test_old_days_keep_their_times_while_they_are_few(bench: Bench, store: Store) -> None:
    """The first that are met; the same ones again after a crash, wherever it was."""
    bench.limits = TimeLimits.of_seconds(7 * 86_400, 30 * 86_400)
    bench.reopen()
    starts = [START_NS - day * DAY_NS for day in range(100, 150)]
    bench.spooled(
        *[envelope(n + 1, [f"n{n}"], start_ns=start) for n, start in enumerate(starts)], envelope(99, ["now"])
    )
    segment = bench.spool.oldest()
    assert segment
    insert, inserts = store.insert, 0

    def ending(table: str, batches: Iterable[pa.RecordBatch], token: str) -> None:
        nonlocal inserts
        inserts += 1
        if inserts == 9:
            raise Unavailable(Reason.STORE, "The store is away.")
        insert(table, batches, token)

    store.insert = ending  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        bench.drain.delivery.deliver(segment)
    bench.reopen()
    bench.run_until_empty()
    kept = sorted(starts)[:32]
    moved = [start % DAY_NS for start in sorted(starts)[32:]]
    found = store.query("SELECT toUnixTimestamp64Nano(Timestamp) AS T FROM otel_traces FINAL ORDER BY T", {})
    assert found.column("T").to_pylist() == sorted([*kept, *moved, START_NS])
    bench.spooled(
        envelope(77, ["another"], start_ns=kept[3] + 1), envelope(78, ["further"], start_ns=moved[0] + 900 * DAY_NS)
    )
    bench.run_until_empty()
    further = store.query(
        "SELECT SpanName, toUnixTimestamp64Nano(Timestamp) AS T FROM otel_traces WHERE SpanName > 'f' AND SpanName < 'g' OR SpanName = 'another' ORDER BY SpanName",
        {},
    )
    assert further.column("T").to_pylist() == [kept[3] + 1, moved[0]]


# -- what cannot be stored ----------------------------------------------------------------------------------------


def poisoned(spans: int, at: int) -> list[str]:
    return [*span_names(at), "poison", *span_names(spans - at - 1, "tail")]


@pytest.mark.parametrize(("spans", "at"), [(1, 0), (2, 1), (37, 0), (37, 17), (37, 36)])
def test_poison_is_set_aside_alone(bench: Bench, store: Store, spans: int, at: int) -> None:
    store.command(REFUSE_POISON)
    bench.spooled(envelope(1, ["before"]), envelope(2, poisoned(spans, at)), envelope(3, ["after"]))
    bench.run_until_empty()
    assert names(store) == sorted([*span_names(at), *span_names(spans - at - 1, "tail"), "before", "after"])
    entries = list(bench.deadletter.entries())
    assert [entry.reason for entry in entries] == [Reason.POISON]
    assert "no_poison" in entries[0].message
    assert entries[0].envelope
    assert entries[0].envelope.items == 1
    assert b"poison" in entries[0].envelope.payload
    assert bench.counted("drain_dead_lettered_spans", reason="poison") == 1


def test_poison_delivered_again_is_set_aside_once(bench: Bench, store: Store) -> None:
    store.command(REFUSE_POISON)
    segment = bench.spooled(envelope(1, poisoned(20, 7)))
    bench.drain.delivery.deliver(segment)
    bench.reopen()
    bench.run_until_empty()
    assert len(names(store)) == 19
    assert bench.deadletter.statistics().entries == 1


def test_poison_on_several_days(bench: Bench, store: Store) -> None:
    store.command(REFUSE_POISON)
    days = [START_NS, START_NS + DAY_NS, START_NS + 2 * DAY_NS]
    bench.spooled(*[envelope(number, poisoned(9, number), start_ns=day) for number, day in enumerate(days, 1)])
    bench.run_until_empty()
    assert len(names(store)) == 24
    assert bench.deadletter.statistics().entries == 3


def test_replay_stores_poison_once_its_cause_is_gone(bench: Bench, store: Store) -> None:
    store.command(REFUSE_POISON)
    bench.spooled(envelope(1, poisoned(10, 4)))
    bench.run_until_empty()
    store.command(ALLOW_POISON)
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert names(store) == sorted(poisoned(10, 4))
    assert bench.deadletter.statistics().entries == 0


def test_replay_of_poison_that_still_is_poison_sets_it_aside_again(bench: Bench, store: Store) -> None:
    store.command(REFUSE_POISON)
    bench.spooled(envelope(1, poisoned(10, 4)))
    bench.run_until_empty()
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert len(names(store)) == 9
    assert [entry.reason for entry in bench.deadletter.entries()] == [Reason.POISON]


def test_too_much_poison_stops_the_drain_until_its_cause_is_gone(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is thrown away, and no row is stored twice, although parts of the segment were stored before."""
    monkeypatch.setattr(decoding, "_POISON_ROWS", 10)
    store.command(REFUSE_POISON)
    segment = bench.spooled(envelope(1, [*span_names(50), *["poison"] * 15]))
    with pytest.raises(Unavailable, match="refuses too many rows of segment") as caught:
        bench.drain.delivery.deliver(segment)
    assert caught.value.reason is Reason.DEAD_LETTER_FULL
    with pytest.raises(Unavailable):
        bench.drain.delivery.deliver(segment)
    assert bench.deadletter.statistics().entries == 10
    assert bench.spool.oldest() == segment
    store.command(ALLOW_POISON)
    bench.run_until_empty()
    assert store.command("SELECT count() FROM otel_traces FINAL") == 65
    assert len(names(store)) == 65


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_stored_in_halves_is_never_stored_whole(bench: Bench, store: Store, *, restarted: bool) -> None:
    """Not even where a restart brings the memory that was missing."""
    insert = store.insert

    def scarce(table: str, batches: Iterable[pa.RecordBatch], token: str) -> None:
        """Memory for one row, and a connection that breaks with the second half."""
        rows = list(batches)
        if sum(batch.num_rows for batch in rows) > 1:
            raise OutOfMemory(241, "The store is out of memory.")
        if token.endswith(".1"):
            raise Unavailable(Reason.STORE, "The store is away.")
        insert(table, rows, token)

    segment = bench.spooled(envelope(1, ["a", "b"]))
    store.insert = scarce  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        bench.drain.delivery.deliver(segment)
    assert names(store) == ["a"]
    store.insert = insert  # type: ignore[method-assign]
    if restarted:
        bench.reopen()
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    assert list((bench.directory / "spool").glob("*.halved")) == []


def test_envelopes_that_are_too_many_for_one_batch_are_decoded_in_several(bench: Bench, store: Store) -> None:
    """A column of a batch holds 2 GiB; here a batch holds three rows."""

    def of_three(envelopes: Sequence[Envelope]) -> Sequence[pa.RecordBatch]:
        batch = decode(envelopes)
        if batch.num_rows > 3:
            raise Rejected(Reason.TOO_LARGE, "These rows are too large for one batch.")
        return [batch]

    bench.drain.delivery._paths = {
        signal: replace(path, decode=of_three) for signal, path in bench.drain.delivery._paths.items()
    }
    broken = Envelope("default", START_NS, 1, b"\x0a\xffnot protobuf")
    bench.spooled(envelope(1, ["a", "b"]), envelope(2, ["c", "d"]), broken, envelope(3, ["e"]), envelope(4, ["f"]))
    bench.run_until_empty()
    assert names(store) == ["a", "b", "c", "d", "e", "f"]
    assert [entry.envelope for entry in bench.deadletter.entries()] == [broken]


def test_an_envelope_that_does_not_decode_is_set_aside(bench: Bench, store: Store) -> None:
    broken = Envelope("default", START_NS, 1, b"\x0a\xffnot protobuf")
    bench.spooled(envelope(1, ["a"]), broken, envelope(2, ["b"]))
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    (entry,) = bench.deadletter.entries()
    assert entry.reason is Reason.MALFORMED
    assert entry.envelope == broken


def test_poison_behind_an_envelope_that_does_not_decode_is_still_the_right_row(bench: Bench, store: Store) -> None:
    store.command(REFUSE_POISON)
    broken = Envelope("default", START_NS, 5, b"\x0a\xffnot protobuf")
    bench.spooled(broken, envelope(1, ["a", "poison", "b"]))
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    poison = [entry.envelope for entry in bench.deadletter.entries() if entry.reason is Reason.POISON]
    assert [item.payload.count(b"poison") for item in poison if item] == [1]


def test_an_envelope_of_a_signal_without_a_path_is_set_aside_and_replayed(bench: Bench, store: Store) -> None:
    """Also between traces, of which one is poison: that is still the right row."""
    store.command(REFUSE_POISON)
    logs = Envelope("team", START_NS, 4, b"log records", signal=Signal.LOGS)
    bench.spooled(envelope(1, ["a"]), logs, envelope(2, ["b", "poison"]))
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    kept = {entry.reason: entry for entry in bench.deadletter.entries()}
    assert kept.keys() == {Reason.SIGNAL, Reason.POISON}
    assert kept[Reason.SIGNAL].envelope == logs
    assert "does not store logs" in kept[Reason.SIGNAL].message
    poison = kept[Reason.POISON].envelope
    assert poison
    assert b"poison" in poison.payload
    assert bench.counted("drain_dead_lettered_spans", reason="unsupported_signal") == 4
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert [entry.envelope for entry in bench.deadletter.entries() if entry.reason is Reason.SIGNAL] == [logs]


def test_two_signals_of_a_segment_go_their_own_paths(bench: Bench, store: Store) -> None:
    """Their inserts have tokens of their own, also on the same day, and their poison names of its own."""
    store.command("ALTER TABLE otel_logs ADD CONSTRAINT no_poison CHECK Body != 'poison'")
    paths = {**bench.drain.delivery._paths, Signal.LOGS: log_path(bench.metrics)}
    first, second = log_envelope(["x"]), log_envelope(["y", "poison"])
    segment = bench.spooled(first, envelope(3, ["a"]), second, envelope(4, ["b"]))
    for _ in range(2):
        bench.drain.delivery._paths = paths
        bench.drain.delivery.deliver(segment)
        bench.reopen()
    assert names(store) == ["a", "b"]
    logs = store.query("SELECT Body FROM otel_logs ORDER BY Body", {})
    assert logs.column(0).to_pylist() == ["x", "y"]
    (entry,) = bench.deadletter.entries()
    assert entry.name == f"{segment.id}-logs-2-1"
    assert entry.envelope
    assert (entry.envelope.signal, entry.envelope.items) == (Signal.LOGS, 1)


def test_poison_among_log_records_is_replayed_once_its_cause_is_gone(bench: Bench, store: Store) -> None:
    store.command("ALTER TABLE otel_logs ADD CONSTRAINT no_poison CHECK Body != 'poison'")
    bench.drain.delivery._paths = {**bench.drain.delivery._paths, Signal.LOGS: log_path(bench.metrics)}
    bench.spooled(log_envelope(["a"]), log_envelope(["b", "poison", "b"]))
    bench.run_until_empty()
    bodies = "SELECT Body FROM otel_logs FINAL ORDER BY Body"
    assert store.query(bodies, {}).column("Body").to_pylist() == ["a", "b", "b"]
    assert bench.counted("drain_dead_lettered_spans", reason="poison") == 1
    store.command("ALTER TABLE otel_logs DROP CONSTRAINT no_poison")
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert store.query(bodies, {}).column("Body").to_pylist() == ["a", "b", "b", "poison"]
    assert bench.deadletter.statistics().entries == 0


def test_poison_among_metric_points_is_the_right_point(bench: Bench, store: Store) -> None:
    """Whatever kinds of points lie before it."""
    store.command("ALTER TABLE otel_metrics_sum ADD CONSTRAINT no_poison CHECK Value != 13")
    bench.drain.delivery._paths = {**bench.drain.delivery._paths, Signal.METRICS: metric_path(bench.metrics)}
    first = metric_envelope(gauge(point(13), point(2)), total(point(1)))
    second = metric_envelope(total(point(3), point(13)), gauge(point(4)), total(point(5)))
    segment = bench.spooled(first, envelope(1, ["a"]), second)
    bench.run_until_empty()
    stored = {kind: f"SELECT Value FROM otel_metrics_{kind} ORDER BY Value" for kind in ("gauge", "sum")}
    found = {kind: store.query(query, {}).column("Value").to_pylist() for kind, query in stored.items()}
    assert found == {"gauge": [2, 4, 13], "sum": [1, 3, 5]}
    (entry,) = bench.deadletter.entries()
    assert entry.name == f"{segment.id}-metrics-sum-2-1"
    assert bench.counted("drain_stored_metric_points") == 7
    store.command("ALTER TABLE otel_metrics_sum DROP CONSTRAINT no_poison")
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert store.query(stored["sum"], {}).column("Value").to_pylist() == [1, 3, 5, 13]


def test_a_damaged_frame_is_set_aside_with_its_bytes(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]), envelope(2, ["damaged"]), envelope(3, ["c"]))
    data = bytearray(segment.path.read_bytes())
    data[data.index(b"damaged")] ^= 1
    segment.path.write_bytes(data)
    bench.run_until_empty()
    assert names(store) == ["a", "c"]
    (entry,) = bench.deadletter.entries()
    assert entry.reason is Reason.CORRUPT
    assert entry.envelope is None
    kept = (bench.directory / "spool" / "deadletter" / f"{entry.name}.bin").read_bytes()
    assert kept in data
    assert b"amaged" in kept


def test_a_segment_of_nothing_but_damage_is_finished(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]))
    segment.path.write_bytes(bytes(range(1, 200)))
    bench.run_until_empty()
    assert names(store) == []
    assert bench.deadletter.statistics().entries == 1


def test_a_full_dead_letter_stops_the_drain(bench: Bench, store: Store) -> None:
    store.command(REFUSE_POISON)
    bench.deadletter.keep_bytes("ballast", "fills the dead letter", bytes(1_000_000))
    segment = bench.spooled(envelope(1, ["poison"]))
    with pytest.raises(Unavailable) as caught:
        bench.drain.delivery.deliver(segment)
    assert caught.value.reason is Reason.DEAD_LETTER_FULL
    assert bench.spool.oldest() == segment


# -- a store that comes and goes ----------------------------------------------------------------------------------


def test_a_store_away_and_back_gets_everything_once(bench: Bench, store: Store) -> None:
    bench.store = None
    calls = iter(range(10))

    def absent_for_a_while() -> Store:
        if next(calls, 10) < 3:
            raise Unavailable(Reason.STORE, "The store is away.")
        return store

    bench.drain.delivery._store = absent_for_a_while
    for number in range(1, 5):
        bench.spooled(envelope(number, span_names(5, f"e{number}")))
    bench.run_until_empty()
    assert len(names(store)) == len(set(names(store))) == 20
    assert bench.counted("drain_failed_attempts") == 3
    assert bench.drain.statistics().attempts_failing == 0


def test_an_insert_confirmed_but_not_heard_of_is_not_repeated(bench: Bench, store: Store) -> None:
    """The connection breaks after the store has the rows: the drain has to try again, and adds nothing."""
    insert = store.insert
    answers = iter([False, False, True])

    def deaf(table: str, batches: Iterable[pa.RecordBatch], token: str) -> None:
        insert(table, batches, token)
        if not next(answers, True):
            raise Unavailable(Reason.STORE, "The answer was lost.")

    store.insert = deaf  # type: ignore[method-assign]
    bench.spooled(envelope(1, span_names(10)), envelope(2, span_names(10, "b"), start_ns=START_NS + DAY_NS))
    bench.run_until_empty()
    assert len(names(store)) == len(set(names(store))) == 20
    assert bench.counted("drain_failed_attempts") == 2


def test_a_segment_too_large_for_the_stores_memory_is_stored_in_parts(bench: Bench, store: Store) -> None:
    names = [f"{number} {'x' * 4000}" for number in range(3000)]
    segment = bench.spooled(envelope(1, names))
    store.command("SET max_memory_usage = 40000000")
    bench.drain.delivery.deliver(segment)
    store.command("SET max_memory_usage = 0")
    assert bench.counted("store_inserts") > 1
    assert bench.deadletter.statistics().entries == 0
    counted = store.query("SELECT count() AS all, uniqExact(SpanId) AS spans FROM otel_traces", {}).to_pylist()
    assert counted == [{"all": 3000, "spans": 3000}]


def assert_waited_for(bench: Bench, segment: Segment) -> None:
    """It cannot be stored now, and nothing of it goes to the dead letter."""
    with pytest.raises(Unavailable):
        bench.drain.delivery.deliver(segment)
    assert bench.deadletter.statistics().entries == 0


def test_a_missing_table_is_waited_for(bench: Bench, store: Store) -> None:
    """A table someone dropped, or renamed, is repaired by people; the spans wait."""
    store.command("RENAME TABLE otel_traces TO elsewhere")
    segment = bench.spooled(envelope(1, ["a"]))
    assert_waited_for(bench, segment)
    store.command("RENAME TABLE elsewhere TO otel_traces")
    bench.run_until_empty()
    assert names(store) == ["a"]


def test_a_column_missing_from_the_table_is_waited_for(bench: Bench, store: Store) -> None:
    store.command("ALTER TABLE otel_traces DROP COLUMN TraceState")
    segment = bench.spooled(envelope(1, ["a"]))
    assert_waited_for(bench, segment)


def test_a_unreadable_segment_is_waited_for(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]))
    hidden = segment.path.rename(segment.path.with_suffix(".hidden"))
    with pytest.raises(Unavailable) as caught:
        bench.drain.delivery.deliver(segment)
    assert caught.value.reason is Reason.DISK
    hidden.rename(segment.path)
    bench.run_until_empty()
    assert names(store) == ["a"]


def test_rows_survive_closing_the_store(
    bench: Bench, store: Store, embedded_config: StoreConfig, engine_directory: Path
) -> None:
    segment = bench.spooled(envelope(1, ["a", "b"]))
    bench.drain.delivery.deliver(segment)
    second = open_store(embedded_config, engine_directory)
    second.use_database()
    bench.store = second
    bench.run_until_empty()
    assert names(second) == ["a", "b"]
    second.close()


def test_a_cancellation_that_comes_with_news_is_heard(bench: Bench) -> None:
    """What the daemon does on SIGTERM while the store is away: `stop`, then cancel, in one go."""
    bench.store = None

    async def run() -> None:
        draining = asyncio.create_task(bench.drain.run())
        await asyncio.sleep(0)  # into its first wait
        bench.spool.append(envelope(1, ["a"]))
        bench.drain.finish()
        draining.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await draining

    asyncio.run(run())


# -- what ends processes, and what cannot be read -------------------------------------------------------------------


def unended(bench: Bench, segment: Segment, *parts: range) -> None:
    """What processes leave that ended while they stored these parts."""
    for part in parts:
        segment.note_attempt(part, begun=True)
    bench.reopen()


def left_beside(segment: Segment) -> list[str]:
    return sorted(path.name for path in segment.path.parent.glob(f"{segment.id}*"))


def test_what_ended_processes_thrice_is_stored_in_parts_and_once(bench: Bench, store: Store) -> None:
    segment = bench.spooled(*[envelope(number, [f"e{number:02}"]) for number in range(1, 41)])
    unended(bench, segment, WHOLE, WHOLE, WHOLE, range(3, 6))
    bench.run_until_empty()
    assert bench.counted("store_inserts") == 16  # of 14 parts, one of which in three
    assert names(store) == [f"e{number:02}" for number in range(1, 41)]
    assert bench.deadletter.statistics().entries == 0
    assert left_beside(segment) == []


def test_an_envelope_that_ends_processes_alone_is_set_aside_and_replayed(bench: Bench, store: Store) -> None:
    deadly = envelope(2, ["deadly", "its neighbour"])
    segment = bench.spooled(envelope(1, ["a"]), deadly, envelope(3, ["b"]))
    unended(bench, segment, *[WHOLE] * 3, *[range(1, 2)] * 2)
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    (entry,) = bench.deadletter.entries()
    assert (entry.reason, entry.envelope) == (Reason.FATAL, deadly)
    assert bench.counted("drain_dead_lettered_spans", reason="fatal") == 2
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert names(store) == ["a", "b", "deadly", "its neighbour"]


def test_a_young_process_tries_last_what_others_may_have_ended_at(bench: Bench, store: Store) -> None:
    """Kills from outside hit what happens to be stored. What was tried in time that a process had is another matter."""
    segment = bench.spooled(envelope(1, ["a"]), envelope(2, ["b"]), envelope(3, ["c"]))
    unended(bench, segment, *[WHOLE] * 3, range(1), range(1, 2))
    with pytest.raises(Postponed, match="2 requests"):
        bench.drain.delivery.deliver(segment)
    assert names(store) == ["c"]
    bench.clock.advance(CALM_SECONDS)
    bench.drain.delivery.deliver(segment)
    assert names(store) == ["a", "b", "c"]
    assert bench.deadletter.statistics().entries == 0


def test_what_is_behind_a_segment_that_waits_is_stored(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]), envelope(2, ["b"]))
    unended(bench, segment, *[WHOLE] * 3, range(1))

    async def run() -> None:
        draining = asyncio.create_task(bench.drain.run())
        await bench.spool.append(envelope(3, ["behind it"]))
        await asyncio.to_thread(wait_until, lambda: names(store) == ["b", "behind it"], 20, "the rest")
        assert bench.drain.unready_reason() == ""
        bench.clock.advance(CALM_SECONDS)
        bench.drain.finish()
        await draining

    asyncio.run(run())
    assert names(store) == ["a", "b", "behind it"]


def test_processes_that_ended_twice_change_nothing(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]), envelope(2, ["b"]))
    unended(bench, segment, WHOLE, WHOLE)
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    assert bench.counted("store_inserts") == 1


def test_a_store_that_is_away_ends_no_attempt(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]))
    store.command("RENAME TABLE otel_traces TO elsewhere")
    for _ in range(8):
        assert_waited_for(bench, segment)
    store.command("RENAME TABLE elsewhere TO otel_traces")
    assert segment.attempts().total() == 0
    bench.run_until_empty()
    assert names(store) == ["a"]


def test_damage_is_set_aside_also_when_a_segment_is_stored_in_parts(bench: Bench, store: Store) -> None:
    segment = bench.spooled(envelope(1, ["a"]), envelope(2, ["b"]), envelope(3, ["c"]))
    data = bytearray(segment.path.read_bytes())
    data[-1] ^= 1
    segment.path.write_bytes(data)
    unended(bench, segment, WHOLE, WHOLE, WHOLE)
    bench.run_until_empty()
    assert names(store) == ["a", "b"]
    assert [entry.reason for entry in bench.deadletter.entries()] == [Reason.CORRUPT]


def test_an_envelope_that_takes_all_memory_is_set_aside_alone(bench: Bench, store: Store) -> None:
    def starving(envelopes: Sequence[Envelope]) -> Sequence[pa.RecordBatch]:
        if any(b"deadly" in item.payload for item in envelopes):
            raise MemoryError
        return [decode(envelopes)]

    bench.drain.delivery._paths = {
        signal: replace(path, decode=starving) for signal, path in bench.drain.delivery._paths.items()
    }
    bench.spooled(envelope(1, ["a"]), envelope(2, ["deadly"]), envelope(3, ["b"]))
    bench.spooled(envelope(4, ["behind it"]))
    bench.run_until_empty()
    assert names(store) == ["a", "b", "behind it"]
    assert [entry.reason for entry in bench.deadletter.entries()] == [Reason.FATAL]


def test_many_envelopes_that_end_attempts(bench: Bench, store: Store) -> None:
    def failing(envelopes: Sequence[Envelope]) -> Sequence[pa.RecordBatch]:
        if any(b"deadly" in item.payload for item in envelopes):
            raise ZeroDivisionError
        return [decode(envelopes)]

    bench.drain.delivery._paths = {
        signal: replace(path, decode=failing) for signal, path in bench.drain.delivery._paths.items()
    }
    deadly = {2, 3, 4, 5, 6, 17, 40}
    bench.spooled(*[envelope(n, ["deadly" if n in deadly else f"e{n:02}"]) for n in range(1, 41)])
    bench.run_until_empty()
    assert names(store) == [f"e{n:02}" for n in range(1, 41) if n not in deadly]
    assert bench.deadletter.statistics().entries == 7


def test_when_everything_ends_attempts_the_drain_waits(bench: Bench, store: Store) -> None:
    """A defect that is not of the data fills no dead letter."""
    envelopes = [envelope(number, [f"e{number}"]) for number in range(1, 7)]
    segment = bench.spooled(*envelopes)
    paths = bench.drain.delivery._paths

    def broken(_: Sequence[Envelope]) -> Sequence[pa.RecordBatch]:
        raise ZeroDivisionError

    bench.drain.delivery._paths = {signal: replace(path, decode=broken) for signal, path in paths.items()}
    bench.clock.advance(CALM_SECONDS)
    for _ in range(40):
        with pytest.raises(ZeroDivisionError):
            bench.drain.delivery.deliver(segment)
    assert bench.deadletter.statistics().entries == 3
    bench.drain.delivery._paths = paths
    bench.run_until_empty()
    assert len(names(store)) == 3


def test_a_row_that_is_too_large_for_the_store_is_set_aside_and_replayed(bench: Bench, store: Store) -> None:
    """Those beside it are stored, also on its day, and it is stored once there is memory."""
    large = f"large {'x' * 20_000_000}"
    segment = bench.spooled(envelope(1, ["a"]), Envelope("default", START_NS, 1, request(2, ["b"], text=large)))
    store.command("SET max_memory_usage = 40000000")
    bench.deadletter = DeadLetter(bench.directory / "spool" / "deadletter", 100_000_000)
    bench.drain.delivery._poison = Poison(bench.deadletter, bench.metrics)
    for _ in range(5):
        assert_waited_for(bench, segment)
    bench.run_until_empty()
    store.command("SET max_memory_usage = 0")
    assert names(store) == ["a"]
    (entry,) = bench.deadletter.entries()
    assert entry.reason is Reason.TOO_LARGE
    assert main(["replay", "--data-dir", str(bench.directory)]) == 0
    bench.spool.reclaim()
    bench.run_until_empty()
    assert names(store) == ["a", "b"]


def test_a_small_row_waits_for_memory_for_as_long_as_it_takes(bench: Bench, store: Store) -> None:
    def starved(table: str, batches: Iterable[pa.RecordBatch], token: str) -> None:
        raise OutOfMemory(241, "The store is out of memory.")

    insert = store.insert
    store.insert = starved  # type: ignore[method-assign]
    segment = bench.spooled(envelope(1, ["a"]))
    for _ in range(20):
        assert_waited_for(bench, segment)
    store.insert = insert  # type: ignore[method-assign]
    bench.run_until_empty()
    assert names(store) == ["a"]


def test_segments_that_cannot_be_read_block_nobody(bench: Bench, store: Store) -> None:
    """A directory, and a file that its disk refuses; they are stored once they can be read."""
    first = bench.spooled(envelope(1, ["first"]))
    hidden = first.path.rename(first.path.with_suffix(".hidden"))
    first.path.mkdir()
    (bench.directory / "spool" / "x.seg").mkdir()
    bench.spool.reclaim()

    def unreadable() -> list[float]:
        return [sample.value for sample in bench.drain.readings() if sample.metric is DRAIN_UNREADABLE_SEGMENTS]

    async def run() -> None:
        draining = asyncio.create_task(bench.drain.run())
        await bench.spool.append(envelope(2, ["second"]))
        await asyncio.to_thread(wait_until, lambda: names(store) == ["second"], 20, "the second segment")
        await asyncio.to_thread(wait_until, lambda: unreadable() == [2], 20, "a second look")
        first.path.rmdir()
        hidden.rename(first.path)
        bench.clock.advance(60)
        bench.drain._changed.set()
        await asyncio.to_thread(wait_until, lambda: len(names(store)) == 2, 20, "the first segment")
        bench.drain.finish()
        await draining

    asyncio.run(run())
    assert bench.spool.statistics().oldest_age == 0


def test_it_says_when_nothing_can_be_stored(bench: Bench, store: Store) -> None:
    store.command("RENAME TABLE otel_traces TO elsewhere")

    def unready(wanted: str) -> None:
        wait_until(lambda: wanted in bench.drain.unready_reason(), 20, wanted)

    async def run() -> None:
        draining = asyncio.create_task(bench.drain.run())
        await bench.spool.append(envelope(1, ["a"]))
        await asyncio.to_thread(wait_until, lambda: bench.counted("drain_failed_attempts") > 1, 20, "failures")
        assert bench.drain.unready_reason() == ""
        bench.clock.advance(11)
        await asyncio.to_thread(unready, "none could be stored at the last")
        assert "otel_traces" in bench.drain.unready_reason()
        store.command("RENAME TABLE elsewhere TO otel_traces")
        await asyncio.to_thread(wait_until, lambda: bench.drain.unready_reason() == "", 20, "readiness")
        bench.drain.finish()
        await draining

    asyncio.run(run())


def test_a_process_that_leaves_at_its_deadline_is_no_attempt(bench: Bench, store: Store) -> None:
    insert = store.insert
    left: list[int] = []

    def leaving(table: str, batches: Iterable[pa.RecordBatch], token: str) -> None:
        assert segment.attempts().total() == 1
        bench.drain.abandon()
        left.append(segment.attempts().total())
        insert(table, batches, token)

    segment = bench.spooled(envelope(1, ["a"]))
    store.insert = leaving  # type: ignore[method-assign]
    bench.run_until_empty()
    assert left == [0]
