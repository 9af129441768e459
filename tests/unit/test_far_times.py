"""Starts far from their arrival: where they are stored, and what of them is kept."""

from collections.abc import Collection, Iterable

import pyarrow as pa
import pytest

from collector.decode import decode
from collector.enrich.starts import own_starts
from collector.model.columns import DAY_NS, LATEST_NS, START_ATTRIBUTE
from collector.store.tables import SPANS, Table
from collector.store.writer import by_day
from collector.storing import TimeLimits
from tests.support.spans import START_NS, envelope

HOUR_NS = DAY_NS // 24
WEEK_AND_MONTH = TimeLimits.of_seconds(7 * 86_400, 30 * 86_400)


def no_old_days(_table: Table, _days: Iterable[int], _before: int) -> Collection[int]:
    return ()


def stored(*starts: int) -> tuple[list[tuple[int, str | None]], pa.RecordBatch]:
    """The Timestamp and START_ATTRIBUTE of each span, all received at START_NS."""
    decoded = decode([envelope(number, ["a"], start_ns=start) for number, start in enumerate(starts, 1)])
    batch, _ = WEEK_AND_MONTH.kept(SPANS, decoded, no_old_days)
    assert batch.schema == decoded.schema
    batch.validate(full=True)
    times = batch.column("Timestamp").cast(pa.int64()).to_pylist()
    noted = [dict(pairs).get(START_ATTRIBUTE) for pairs in batch.column("SpanAttributes").to_pylist()]
    return list(zip(times, noted, strict=True)), batch


@pytest.mark.parametrize("start", [0, 1, START_NS - 30 * DAY_NS, START_NS, START_NS + 7 * DAY_NS])
def test_within_the_limits(start: int) -> None:
    assert stored(start)[0] == [(start, None)]


@pytest.mark.parametrize(
    "start", [START_NS + 7 * DAY_NS + 1, START_NS + 900 * DAY_NS, LATEST_NS, LATEST_NS + 1, 2**64 - 2_000_000]
)
def test_dated_ahead_is_stored_at_its_arrival(start: int) -> None:
    assert stored(start)[0] == [(START_NS, str(start))]


@pytest.mark.parametrize("start", [DAY_NS, START_NS - 30 * DAY_NS - 1, START_NS - 900 * DAY_NS + HOUR_NS])
def test_old_is_stored_on_the_first_day(start: int) -> None:
    assert stored(start)[0] == [(start % DAY_NS, str(start))]


def test_old_days_that_are_kept() -> None:
    """They are asked for once each; what is not kept of them is moved."""
    kept, gone, received = START_NS - 300 * DAY_NS, START_NS - 400 * DAY_NS, START_NS // DAY_NS
    asked: list[tuple[list[int], int]] = []

    def first(_table: Table, days: Iterable[int], before: int) -> Collection[int]:
        asked.append((list(days), before))
        return {kept // DAY_NS}

    starts = [kept, gone, START_NS, kept + 1]
    decoded = decode([envelope(number, ["a"], start_ns=start) for number, start in enumerate(starts, 1)])
    batch, moved = WEEK_AND_MONTH.kept(SPANS, decoded, first)
    assert batch.column("Timestamp").cast(pa.int64()).to_pylist() == [kept, gone % DAY_NS, START_NS, kept + 1]
    assert moved == (0, 1)
    assert asked == [([gone // DAY_NS, kept // DAY_NS], received - 30 + 1)]


def test_rows_between_others_keep_their_attributes() -> None:
    old, ahead = START_NS - 300 * DAY_NS, START_NS + 300 * DAY_NS
    rows, batch = stored(START_NS, old, old + 1, START_NS, ahead, START_NS)
    assert [noted for _, noted in rows] == [None, str(old), str(old + 1), None, str(ahead), None]
    assert own_starts(batch).tolist() == [START_NS, old, old + 1, START_NS, START_NS, START_NS]
    assert own_starts(batch.slice(2, 3)).tolist() == [old + 1, START_NS, START_NS]


def test_a_slice_of_a_batch() -> None:
    old = START_NS - 300 * DAY_NS
    decoded = decode(
        [envelope(n, ["a"], start_ns=start) for n, start in enumerate([old, START_NS, old + 5, old + 6], 1)]
    )
    batch, moved = WEEK_AND_MONTH.kept(SPANS, decoded.slice(1, 2), no_old_days)
    assert sum(moved) == 1
    assert own_starts(batch).tolist() == [START_NS, old + 5]


def test_three_thousand_days_are_a_month_of_partitions() -> None:
    _, batch = stored(*(START_NS - day * DAY_NS for day in range(3_000)))
    inserts = list(by_day(pa.Table.from_batches([batch]), [batch.column("Timestamp")]))
    assert len(inserts) == 17
    assert sum(rows.num_rows for _, rows, _ in inserts) == 3_000
    assert max(len(by_days(rows)) for _, rows, _ in inserts) == 16


def test_an_insert_has_at_most_64_days() -> None:
    decoded = decode([envelope(day + 1, ["a"], start_ns=day * DAY_NS) for day in range(200)])
    inserts = list(by_day(pa.Table.from_batches([decoded]), [decoded.column("Timestamp")]))
    assert [label for label, _, _ in inserts[16:]] == ["others", "others.1", "others.2"]
    assert [len(by_days(rows)) for _, rows, _ in inserts[16:]] == [64, 64, 56]
    assert sorted(position for _, _, positions in inserts for position in positions) == list(range(200))


def by_days(rows: object) -> set[int]:
    assert isinstance(rows, pa.Table)
    return {start // DAY_NS for start in rows.column("Timestamp").cast(pa.int64()).to_pylist()}
