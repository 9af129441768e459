"""The spool on real files: what was answered is there after any failure, and what was refused is not."""

import asyncio
import errno
import os
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.config import SpoolConfig
from collector.errors import Reason, StartError, Unavailable
from collector.model.envelope import Envelope
from collector.spool import Spool, put_segment
from collector.spool.segment import HEADER, Damage
from tests.support.clock import FakeClock
from tests.support.disk import Disk

ROOMY = SpoolConfig(min_free_bytes=0)  # type: ignore[arg-type]  # pydantic reads sizes


def envelope(number: int, *, spans: int = 1, size: int = 100) -> Envelope:
    return Envelope("default", 1_760_000_000_000_000_000 + number, spans, number.to_bytes(4, "big") * (size // 4))


def config(**values: Any) -> SpoolConfig:
    return SpoolConfig.model_validate({"min_free_bytes": 0, **values})


class Open:
    """A spool under test, closed at the end of the block."""

    def __init__(self, directory: Path, settings: SpoolConfig = ROOMY, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.spool = Spool(directory, settings, self.clock)

    def __enter__(self) -> Spool:
        return self.spool

    def __exit__(self, *_: object) -> None:
        self.spool.close()


def append(spool: Spool, *envelopes: Envelope) -> None:
    """Append one after the other, waiting for each."""

    async def run() -> None:
        for item in envelopes:
            await spool.append(item)

    asyncio.run(run())


def append_together(spool: Spool, *envelopes: Envelope) -> list[BaseException | None]:
    """Append at once; how each ended."""

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(*[spool.append(item) for item in envelopes], return_exceptions=True)

    return asyncio.run(run())


def refusal(act: Callable[[], object]) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        act()
    return caught.value


def drained(spool: Spool) -> Iterator[list[Envelope | Damage]]:
    """What each segment holds, oldest first, until the spool is empty."""
    spool.seal()
    while segment := spool.oldest():
        yield list(segment.read())
        spool.commit(segment)


def contents(spool: Spool) -> list[Envelope | Damage]:
    return [item for segment in drained(spool) for item in segment]


def on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(directory.glob("*.seg")))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


# -- appending ----------------------------------------------------------------------------------------------------


def test_an_answered_append_is_on_disk_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fdatasync = os.fdatasync

    def watching(fd: int) -> None:
        fdatasync(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", watching)
    with Open(tmp_path) as spool:
        append(spool, envelope(1))
        data = on_disk(tmp_path)
        assert envelope(1).payload in data
        assert synced == [len(data)]
        assert spool.statistics().bytes == len(data)


def test_many_appends_share_one_sync(tmp_path: Path) -> None:
    with Open(tmp_path) as spool:
        assert append_together(spool, *map(envelope, range(500))) == [None] * 500
        assert spool.statistics().fsyncs <= 50
        assert contents(spool) == list(map(envelope, range(500)))


@pytest.mark.parametrize(("fsync", "syncs"), [("always", 3), ("off", 0)])
def test_fsync_follows_the_setting(tmp_path: Path, fsync: str, syncs: int) -> None:
    with Open(tmp_path, config(fsync=fsync)) as spool:
        append(spool, *map(envelope, range(3)))
        assert spool.statistics().fsyncs == syncs
        assert contents(spool) == list(map(envelope, range(3)))


def test_sealing_syncs_what_an_interval_left(tmp_path: Path) -> None:
    with Open(tmp_path, config(fsync="interval", fsync_interval="1h")) as spool:
        append(spool, envelope(1))
        assert spool.statistics().fsyncs == 0
        spool.seal()
        assert spool.statistics().fsyncs == 1


def test_an_interval_is_kept_while_requests_keep_coming(tmp_path: Path) -> None:
    clock = FakeClock()
    with Open(tmp_path, config(fsync="interval", fsync_interval="10m"), clock) as spool:
        for number in range(1, 5):
            clock.advance(300)
            append(spool, envelope(number))
        assert spool.statistics().fsyncs == 2


def test_rotates_by_what_its_rows_will_hold(tmp_path: Path) -> None:
    async def send(spool: Spool) -> None:
        for number in range(4):
            await spool.append(envelope(number), 3000)

    with Open(tmp_path, config(segment_max_bytes=1024)) as spool:
        asyncio.run(send(spool))
        assert [len(segment) for segment in drained(spool)] == [2, 2]


def test_rotates_by_bytes(tmp_path: Path) -> None:
    with Open(tmp_path, config(segment_max_bytes=1024)) as spool:
        append(spool, *[envelope(number, size=400) for number in range(9)])
        assert [len(segment) for segment in drained(spool)] == [3, 3, 3]


def test_rotates_by_spans_also_within_one_commit(tmp_path: Path) -> None:
    with Open(tmp_path, config(segment_max_spans=10)) as spool:
        sent = [envelope(number, spans=5) for number in range(7)]
        assert append_together(spool, *sent) == [None] * 7
        segments = list(drained(spool))
        assert [len(segment) for segment in segments] == [2, 2, 2, 1]
        assert [item for segment in segments for item in segment] == sent


def test_a_request_larger_than_a_segment_has_its_own(tmp_path: Path) -> None:
    with Open(tmp_path, config(segment_max_bytes=1024)) as spool:
        append(spool, envelope(1, size=5000), envelope(2))
        assert list(drained(spool)) == [[envelope(1, size=5000)], [envelope(2)]]


def test_a_listener_hears_of_every_commit(tmp_path: Path) -> None:
    with Open(tmp_path) as spool:
        heard: list[int] = []
        spool.on_change(lambda: heard.append(spool.statistics().bytes))
        append(spool, envelope(1), envelope(2))
        assert len(heard) >= 1
        assert heard[0] > len(HEADER)


def test_waiting_since_is_when_the_first_frame_came(tmp_path: Path) -> None:
    clock = FakeClock()
    with Open(tmp_path, ROOMY, clock) as spool:
        assert spool.waiting_since() is None
        clock.advance(5)
        append(spool, envelope(1))
        clock.advance(5)
        append(spool, envelope(2))
        assert spool.waiting_since() == 5
        spool.seal()
        assert spool.waiting_since() is None


# -- committing and recovering ------------------------------------------------------------------------------------


def test_commit_deletes_and_frees(tmp_path: Path) -> None:
    with Open(tmp_path) as spool:
        append(spool, envelope(1))
        spool.seal()
        segment = spool.oldest()
        assert segment
        assert spool.statistics().segments == 1
        spool.commit(segment)
        assert spool.oldest() is None
        assert list(tmp_path.glob("*.seg")) == []
        assert spool.statistics().bytes == 0


def test_a_reopened_spool_has_what_was_not_committed_in_order_under_the_same_ids(tmp_path: Path) -> None:
    clock = FakeClock()
    with Open(tmp_path, config(segment_max_spans=2), clock) as spool:
        append(spool, *map(envelope, range(5)))
        first = spool.oldest()
        assert first
        spool.commit(first)
        second = spool.oldest()
        assert second
    clock.advance(1)
    with Open(tmp_path, ROOMY, clock) as spool:
        reopened = spool.oldest()
        assert reopened == second
        append(spool, envelope(5))
        assert contents(spool) == list(map(envelope, range(2, 6)))


def test_a_segment_that_cannot_be_deleted_comes_again_under_its_id(tmp_path: Path, disk: Disk) -> None:
    """Its insert is repeated under the same token, which adds nothing."""
    with Open(tmp_path) as spool:
        append(spool, envelope(1))
        spool.seal()
        segment = spool.oldest()
        assert segment
        disk.frozen = True
        spool.commit(segment)
        assert spool.oldest() is None
        spool.reclaim()
        assert spool.oldest() == segment
        disk.mend()
        spool.commit(segment)
        spool.reclaim()
        assert spool.oldest() is None
        assert spool.statistics().bytes == 0


def test_a_torn_tail_is_left_out(tmp_path: Path) -> None:
    with Open(tmp_path) as spool:
        append(spool, envelope(1), envelope(2))
    path = next(tmp_path.glob("*.seg"))
    os.truncate(path, path.stat().st_size - 7)
    with Open(tmp_path) as spool:
        first, second = contents(spool)
        assert first == envelope(1)
        assert isinstance(second, Damage)
        assert second.torn


@pytest.mark.parametrize("size", range(len(HEADER) + 1))
def test_a_segment_without_frames_is_removed(tmp_path: Path, size: int) -> None:
    (tmp_path / "188a3f2b1c000000c0ffee00.seg").write_bytes(HEADER[:size])
    with Open(tmp_path) as spool:
        assert spool.oldest() is None
    assert list(tmp_path.glob("*.seg")) == []


def test_nothing_is_left_of_an_unused_spool(tmp_path: Path) -> None:
    with Open(tmp_path) as spool:
        spool.seal()
    assert list(tmp_path.glob("*.seg")) == []


def test_segments_put_there_by_replay_are_adopted_once(tmp_path: Path) -> None:
    clock = FakeClock()
    with Open(tmp_path, ROOMY, clock) as spool:
        append(spool, envelope(1))
        put_segment(tmp_path, [envelope(2), envelope(3)], clock)
        clock.advance(1)
        spool.reclaim()
        spool.reclaim()
        assert spool.statistics().segments == 2
        assert sorted(contents(spool), key=repr) == [envelope(1), envelope(2), envelope(3)]


def test_ids_are_unique_although_the_clock_stands_still(tmp_path: Path) -> None:
    clock = FakeClock()
    with Open(tmp_path, config(segment_max_spans=1), clock) as spool:
        append(spool, *map(envelope, range(20)))
        assert contents(spool) == list(map(envelope, range(20)))


def test_recent_finds_what_is_still_spooled_oldest_first(tmp_path: Path) -> None:
    """In this order the window that remembers them forgets the oldest first."""
    with Open(tmp_path, config(segment_max_spans=2)) as spool:
        append(spool, *map(envelope, range(6)))
    with Open(tmp_path) as spool:
        assert list(spool.recent(envelope(3).received_at)) == [envelope(3), envelope(4), envelope(5)]


def test_recent_of_a_large_spool_is_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Open(tmp_path, config(segment_max_spans=2)) as spool:
        append(spool, *map(envelope, range(6)))
    with Open(tmp_path) as spool:
        monkeypatch.setattr("collector.spool.sealed._RECENT_BYTES", spool.statistics().bytes * 2 // 3 + 1)
        assert list(spool.recent(0)) == list(map(envelope, range(2, 6)))


def test_recent_passes_over_old_envelopes_in_new_segments_and_unreadable_ones(tmp_path: Path) -> None:
    clock = FakeClock()
    with Open(tmp_path, config(segment_max_spans=1), clock) as spool:
        append(spool, envelope(7), envelope(8))
    clock.advance(1)
    put_segment(tmp_path, [envelope(1)], clock)
    with Open(tmp_path, ROOMY, clock) as spool:
        first = spool.oldest()
        assert first
        first.path.unlink()
        assert list(spool.recent(envelope(5).received_at)) == [envelope(8)]


# -- refusing -----------------------------------------------------------------------------------------------------


def test_a_full_spool_refuses_until_there_is_room(tmp_path: Path) -> None:
    with Open(tmp_path, config(max_bytes=1024)) as spool:
        append(spool, envelope(1, size=800))
        error = refusal(lambda: append(spool, envelope(2, size=800)))
        assert error.reason is Reason.SPOOL_FULL
        assert error.retry_after > 0
        assert contents(spool) == [envelope(1, size=800)]
        append(spool, envelope(3, size=800))
        assert contents(spool) == [envelope(3, size=800)]


def test_what_is_queued_counts_as_held(tmp_path: Path) -> None:
    with Open(tmp_path, config(max_bytes=2048)) as spool:

        async def run() -> tuple[int, list[Unavailable]]:
            taken: list[Awaitable[None]] = []
            refused: list[Unavailable] = []
            for number in range(10):
                try:
                    taken.append(spool.append(envelope(number, size=600)))
                except Unavailable as error:
                    refused.append(error)
            await asyncio.gather(*taken)
            return len(taken), refused

        taken, refused = asyncio.run(run())
        assert taken == 3
        assert {error.reason for error in refused} == {Reason.SPOOL_FULL}
        assert spool.statistics().bytes <= 2048


def test_a_disk_low_on_space_refuses_and_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    statvfs = os.statvfs
    free = [10_000]

    def scarce(path: Any) -> Any:
        values = list(statvfs(path))
        values[1], values[4] = 1, free[0]  # f_frsize, f_bavail
        return os.statvfs_result(values)

    monkeypatch.setattr(os, "statvfs", scarce)
    with Open(tmp_path, config(min_free_bytes=5_000), clock) as spool:
        append(spool, envelope(1))
        free[0] = 5_000
        clock.advance(1)
        assert refusal(lambda: append(spool, envelope(2))).reason is Reason.DISK
        free[0] = 10_000
        clock.advance(1)
        append(spool, envelope(3))
        assert contents(spool) == [envelope(1), envelope(3)]


def test_a_disk_that_cannot_be_asked_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "statvfs", broken)
    with Open(tmp_path) as spool:
        assert refusal(lambda: append(spool, envelope(1))).reason is Reason.DISK


def test_a_closing_spool_refuses_and_finishes_what_it_took(tmp_path: Path) -> None:
    async def run() -> Unavailable:
        spool = Spool(tmp_path, ROOMY, FakeClock())
        taken = spool.append(envelope(1))
        await asyncio.to_thread(spool.close)
        await taken
        with pytest.raises(Unavailable) as caught:
            spool.append(envelope(2))
        return caught.value

    assert asyncio.run(run()).reason is Reason.STOPPING
    with Open(tmp_path) as spool:
        assert contents(spool) == [envelope(1)]


def test_a_second_opener_learns_who_holds_the_directory(tmp_path: Path) -> None:
    with Open(tmp_path), pytest.raises(StartError) as caught:
        Spool(tmp_path, ROOMY, FakeClock())
    assert str(caught.value) == (
        f"{tmp_path} is in use by another spanmeter (process {os.getpid()}). "
        "Stop it, or give this one its own data_dir."
    )
    with Open(tmp_path) as spool:
        append(spool, envelope(1))


def test_a_directory_that_cannot_be_made_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"Cannot use .*/file/spool for the spool: Not a directory"):
        Spool(tmp_path / "file" / "spool", ROOMY, FakeClock())


# -- disks that fail ----------------------------------------------------------------------------------------------


def _failed_then_mended(directory: Path, disk: Disk, begin: Callable[[], None]) -> None:
    """Append around a failure: what was answered is there, also after a reopen, and what was refused is not."""
    with Open(directory) as spool:
        append(spool, envelope(1), envelope(2))
        begin()
        for number in (3, 4):
            assert refusal(lambda number=number: append(spool, envelope(number))).reason is Reason.DISK  # type: ignore[misc]
        assert spool.statistics().write_errors == 2
        disk.mend()
        append(spool, envelope(5))
        spool.check()
    with Open(directory) as spool:
        assert contents(spool) == [envelope(1), envelope(2), envelope(5)]


@pytest.mark.parametrize("after", [0, 1, 12, 50, 148])
def test_a_disk_that_fills_up_in_the_middle_of_a_write(tmp_path: Path, disk: Disk, after: int) -> None:
    _failed_then_mended(tmp_path, disk, lambda: disk.fail_writes(errno.ENOSPC, after=after))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_sync_that_fails(tmp_path: Path, disk: Disk, number: int) -> None:
    def begin() -> None:
        disk.syncs_fail = number

    _failed_then_mended(tmp_path, disk, begin)


def test_a_disk_remounted_read_only(tmp_path: Path, disk: Disk) -> None:
    def begin() -> None:
        disk.fail_writes(errno.EROFS)
        disk.frozen = True

    _failed_then_mended(tmp_path, disk, begin)


def test_a_failure_on_the_very_first_write(tmp_path: Path, disk: Disk) -> None:
    for after in (0, len(HEADER)):
        with Open(tmp_path) as spool:
            disk.fail_writes(errno.ENOSPC, after=after)
            assert refusal(lambda: append(spool, envelope(1))).reason is Reason.DISK
            disk.mend()
            assert list(tmp_path.glob("*.seg")) == []
            append(spool, envelope(2))
            assert contents(spool) == [envelope(2)]


def test_a_disk_that_becomes_read_only_after_the_header(tmp_path: Path, disk: Disk) -> None:
    with Open(tmp_path) as spool:
        disk.fail_writes(errno.EROFS, after=len(HEADER))
        disk.frozen = True
        assert refusal(lambda: append(spool, envelope(1))).reason is Reason.DISK
        spool.check()
        disk.mend()
        append(spool, envelope(2))
        assert contents(spool) == [envelope(2)]


def test_a_failing_group_is_refused_as_a_whole(tmp_path: Path, disk: Disk) -> None:
    with Open(tmp_path) as spool:
        append(spool, envelope(0))
        disk.fail_writes(errno.ENOSPC, after=1000)
        results = append_together(spool, *map(envelope, range(1, 30)))
        answered = [number for number, result in enumerate(results, 1) if result is None]
        assert len(answered) < 29
        disk.mend()
    with Open(tmp_path) as spool:
        assert contents(spool) == [envelope(0), *map(envelope, answered)]


def test_an_interval_sync_that_fails_keeps_what_was_answered(tmp_path: Path, disk: Disk) -> None:
    with Open(tmp_path, config(fsync="interval", fsync_interval="1h")) as spool:
        append(spool, envelope(1))
        disk.syncs_fail = errno.EIO
        spool.seal()
        assert spool.statistics().write_errors == 1
        disk.mend()
        append(spool, envelope(2))
        assert contents(spool) == [envelope(1), envelope(2)]


def test_refused_bytes_are_not_read_although_they_cannot_be_cut_off(tmp_path: Path, disk: Disk) -> None:
    """The sync fails and so does the truncation: this process must not store what it refused."""
    with Open(tmp_path) as spool:
        append(spool, envelope(1))
        disk.syncs_fail, disk.frozen = errno.EIO, True
        assert refusal(lambda: append(spool, envelope(2))).reason is Reason.DISK
        disk.mend()
        append(spool, envelope(3))
        assert contents(spool) == [envelope(1), envelope(3)]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", str(place)], check=True, capture_output=True)


def test_a_disk_really_full(tiny_disk: Path) -> None:
    answered: list[int] = []
    refused: list[Reason] = []
    with Open(tiny_disk / "spool") as spool:
        for number in range(80):
            try:
                append(spool, envelope(number, size=100_000))
            except Unavailable as error:
                refused.append(error.reason)
            else:
                answered.append(number)
        assert len(answered) > 30
        assert len(refused) > 30
        assert set(refused) == {Reason.DISK}
    expected = [envelope(number, size=100_000) for number in answered]
    with Open(tiny_disk / "spool") as spool:
        assert contents(spool) == expected
        append(spool, envelope(100, size=100_000))
        assert contents(spool) == [envelope(100, size=100_000)]


def test_a_disk_really_read_only(tiny_disk: Path) -> None:
    with Open(tiny_disk / "spool") as spool:
        append(spool, envelope(1))
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True, capture_output=True)
    with pytest.raises(StartError, match="Read-only file system"):
        Spool(tiny_disk / "spool", ROOMY, FakeClock())
