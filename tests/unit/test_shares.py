"""Segments change hands by a rename: none is lost, none is taken from a process that still writes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from collector.config import SpoolConfig
from collector.errors import Reason, StartError, Unavailable
from collector.files import lock_directory
from collector.model.clock import SystemClock
from collector.model.envelope import Envelope
from collector.spool import Spool, put_segment, recent, segments_in
from collector.spool.shares import Elsewhere, collect, collect_all, share
from collector.workers.publisher import Publisher
from tests.support.clock import FakeClock
from tests.support.spans import START_NS, envelope
from tests.support.waiting import until

ROOMY = SpoolConfig.model_validate({"min_free_bytes": 0})


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.glob("*.seg")}


def leftovers(directory: Path, number: int, segments: int) -> set[str]:
    """Segments that receiver process `number` has left."""
    folder = share(directory, number)
    folder.mkdir(parents=True, exist_ok=True)
    return {put_segment(folder, [envelope(number * 100 + n, ["span"])], SystemClock()).name for n in range(segments)}


def test_all_that_ended_processes_left_is_collected(tmp_path: Path) -> None:
    left = leftovers(tmp_path, 0, 3) | leftovers(tmp_path, 11, 2)
    collect_all(tmp_path, 0)
    assert names(tmp_path) == left
    assert names(share(tmp_path, 0)) == names(share(tmp_path, 11)) == set()


def test_nothing_is_taken_from_a_process_that_still_runs(tmp_path: Path) -> None:
    left = leftovers(tmp_path, 0, 1)
    lock = lock_directory(share(tmp_path, 0))
    try:
        with pytest.raises(StartError, match="worker-0 is in use by another spanmeter"):
            collect_all(tmp_path, 0.1)
        assert names(share(tmp_path, 0)) == left
    finally:
        os.close(lock)
    collect(share(tmp_path, 0), tmp_path)
    assert names(tmp_path) == left


def test_what_others_hold_counts_towards_the_limit(tmp_path: Path) -> None:
    clock = FakeClock()
    leftovers(tmp_path, 1, 1)
    leftovers(tmp_path, 0, 1)
    put_segment(tmp_path, [envelope(1, ["span"])], SystemClock())
    others = sum(path.stat().st_size for path in [*tmp_path.glob("*.seg"), *share(tmp_path, 1).glob("*.seg")])
    elsewhere = Elsewhere(tmp_path, share(tmp_path, 0), clock)
    assert elsewhere.bytes() == others
    elsewhere.gave(10)
    assert elsewhere.bytes() == others + 10
    clock.advance(1)
    assert elsewhere.bytes() == others

    config = SpoolConfig.model_validate({"min_free_bytes": 0, "max_bytes": max(1024, others + 50)})
    spool = Spool(share(tmp_path, 2), config, clock, elsewhere.bytes)

    async def run() -> None:
        with pytest.raises(Unavailable) as refused:
            spool.append(Envelope("default", START_NS, 1, b"x" * 1024))
        assert refused.value.reason is Reason.SPOOL_FULL

    try:
        asyncio.run(run())
    finally:
        spool.close()


def test_a_worker_recognises_what_any_of_them_had_spooled(tmp_path: Path) -> None:
    put_segment(tmp_path, [envelope(1, ["a"], received_at=10), envelope(2, ["b"], received_at=20)], SystemClock())
    put_segment(tmp_path, [envelope(3, ["c"], received_at=30)], SystemClock())
    assert [found.received_at for found in recent(segments_in(tmp_path), 20)] == [20, 30]


@asynccontextmanager
async def publishing(
    directory: Path, config: SpoolConfig, flush_interval: float
) -> AsyncIterator[tuple[Spool, list[None]]]:
    """The spool of receiver process 0 while its segments are handed over, with an entry for each time they were."""
    own, clock, published = share(directory, 0), SystemClock(), list[None]()
    spool = Spool(own, config, clock)
    elsewhere = Elsewhere(directory, own, clock)
    publisher = Publisher(spool, elsewhere, directory, lambda: published.append(None), clock, flush_interval)
    running = asyncio.create_task(publisher.run())
    try:
        yield spool, published
        publisher.stop()
        await running
    finally:
        spool.close()


def test_what_waits_is_handed_over_one_segment_at_a_time(tmp_path: Path) -> None:
    """While the drain has not stored the last one, the next one grows."""
    clock = SystemClock()

    async def run() -> None:
        async with publishing(tmp_path, ROOMY, 0.02) as (spool, published):
            await spool.append(envelope(1, ["a"]))
            await until(lambda: bool(published))
            [first] = segments_in(tmp_path)
            assert names(share(tmp_path, 0)) == set()
            await spool.append(envelope(2, ["b"]))
            await spool.append(envelope(3, ["c"]))
            waits = spool.waiting_since()
            assert waits is not None
            await until(lambda: clock.monotonic() > waits + 0.2)
            assert segments_in(tmp_path) == [first]
            first.path.unlink()
            await until(lambda: len(published) == 2)
            [second] = segments_in(tmp_path)
            received = [found.received_at for found in second.read() if isinstance(found, Envelope)]
            assert received == [START_NS, START_NS]

    asyncio.run(run())


def test_full_segments_are_handed_over_at_once(tmp_path: Path) -> None:
    config = SpoolConfig.model_validate({"min_free_bytes": 0, "segment_max_spans": 2})

    async def run() -> None:
        async with publishing(tmp_path, config, 3600) as (spool, published):
            for number in range(7):
                await spool.append(envelope(number, ["a"]))
            await until(lambda: len(published) == 3)
            assert len(segments_in(tmp_path)) == 3

    asyncio.run(run())
    collect(share(tmp_path, 0), tmp_path)
    assert sum(found.items for found in recent(segments_in(tmp_path), 0)) == 7
