"""Accepted requests that are hard to store: they neither stop the daemon nor keep others from being stored."""

import contextlib
import functools
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.model.columns import DAY_NS, START_ATTRIBUTE
from collector.model.envelope import Envelope
from collector.spool import Segment
from tests.support.daemon import Daemon, running
from tests.support.otlp import request, span, trace_id
from tests.support.waiting import wait_until
from tests.support.wire import post, succeeded
from tests.support.witness import warm_up, witnessed

MIB = 1024 * 1024


def send(daemon: Daemon, message: bytes) -> None:
    succeeded(post(daemon.ports["http"], gzip.compress(message, 1), headers={"Content-Encoding": "gzip"}))


def files_below(directory: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(directory))


def set_aside(daemon: Daemon) -> list[str]:
    """The reasons of all entries of the dead letter."""
    found = (daemon.directory / "spool" / "deadletter").glob("*.json")
    return [json.loads(path.read_text())["reason"] for path in sorted(found)]


def replay(daemon: Daemon) -> None:
    command = [sys.executable, "-m", "collector", "replay", "--data-dir", str(daemon.directory)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def metric(daemon: Daemon, name: str) -> float:
    _, text = daemon.get("/metrics")
    return next(float(line.split()[1]) for line in text.decode().splitlines() if line.startswith(f"{name} "))


@pytest.mark.parametrize(("days", "step"), [(3_000, -1), (3_000, 1)], ids=["behind", "ahead"])
def test_thousands_of_days_in_a_request(days: int, step: int, tmp_path: Path, say: Callable[[str], None]) -> None:
    trace, now = trace_id(), time.time_ns()
    starts = [now + step * day * DAY_NS for day in range(days)]
    with running(tmp_path / "data") as daemon:
        warm_up(daemon)
        before, files = daemon.cpu_seconds(), files_below(daemon.directory)
        with witnessed(daemon) as witness, daemon.growth() as growth:
            send(
                daemon,
                request(*(span(trace_id=trace, start_time_unix_nano=start) for start in starts)).SerializeToString(),
            )
            found = daemon.trace(trace, days)
        more = files_below(daemon.directory) - files
        say(
            f"{days} days: {daemon.cpu_seconds() - before:.1f} s of CPU, {more} files more, {growth.mib:.0f} MiB, "
            f"longest wait {1000 * witness.longest:.0f} ms"
        )
        own = sorted(int(row["SpanAttributes"].get(START_ATTRIBUTE, 0)) for row in found)
        far = 34 if step < 0 else 7  # at 35 days it was older than that when it arrived
        assert own[-1] == max(starts[far + 1 :])
        moved = days - far - 1 - (32 if step < 0 else 0)
        assert sum(map(bool, own)) == moved
        assert more < 5_000
        assert metric(daemon, "spanmeter_drain_clamped_timestamps_total") == moved
        assert "Spans start too far from their arrival" in daemon.log()
        witness.assert_stored(daemon)


@pytest.mark.slow
def test_a_row_too_large_for_the_engine(tmp_path: Path, say: Callable[[str], None]) -> None:
    """It is set aside, what comes behind it is stored, and with more memory it is stored too."""
    trace = trace_id()
    large = request(span({"text": "x" * (60 * MIB)}, trace_id=trace)).SerializeToString()
    with running(tmp_path / "data", ["store.max_memory=64MiB"]) as daemon:
        warm_up(daemon)
        with witnessed(daemon) as witness, daemon.growth() as growth:
            send(daemon, large)
            wait_until(lambda: set_aside(daemon) == ["too_large"], 90, "the row in the dead letter")
        say(f"a row of 60 MiB: {growth.mib:.0f} MiB")
        witness.assert_stored(daemon)
    with running(tmp_path / "data") as daemon:
        replay(daemon)
        daemon.trace(trace, 1)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_request_that_ends_the_process_whenever_it_is_stored(tmp_path: Path, say: Callable[[str], None]) -> None:
    """As the kernel does where memory is short. The others of its segment are stored, and those behind it."""
    deadly, honest = trace_id(), trace_id()
    daemon = Daemon(tmp_path / "data", "spool.flush_interval=2s", keeps_ports=True)
    daemon.start()
    try:
        daemon.wait_until_ready()
        send(daemon, request(span(trace_id=honest)).SerializeToString())
        many = request(*(span({f"k{n}": "v" for n in range(10)}, trace_id=deadly) for _ in range(20_000)))
        send(daemon, many.SerializeToString())
        for _ in range(3):
            send(daemon, request(span(trace_id=honest)).SerializeToString())
        kills, last = 0, 0
        while not set_aside(daemon):
            if (number := attempt(daemon)) > last:
                daemon.kill()
                kills, last = kills + 1, number
                daemon.start()
            time.sleep(0.002)
        daemon.wait_until_ready()
        say(f"killed {kills} times")
        assert kills == 5
        assert set_aside(daemon) == ["fatal"]
        assert len(daemon.trace(honest, 4)) == 4
        replay(daemon)
        wait_until(lambda: metric(daemon, "spanmeter_drain_stored_spans_total") >= 20_000, 120, "the replayed spans")
    finally:
        code = daemon.stop()
    assert code == 0


def attempt(daemon: Daemon) -> int:
    """Which attempt at storing the largest request of all is under way, by a number that grows; 0 for none."""
    for path in (daemon.directory / "spool").glob("*.attempts"):
        with contextlib.suppress(OSError):  # it was stored just now
            lines = path.read_text().splitlines()
            segment = path.with_suffix(".seg")
            if lines and lines[-1].startswith("+") and segment.stat().st_size > MIB:
                begin, end = map(int, lines[-1][1:].split(":"))
                return len(lines) if begin <= place_of_largest(segment) < end else 0
    return 0


@functools.cache
def place_of_largest(segment: Path) -> int:
    """The number of the largest envelope of a segment."""
    found = Segment(segment.stem, segment, segment.stat().st_size).read()
    sizes = [len(item.payload) for item in found if isinstance(item, Envelope)]
    return sizes.index(max(sizes))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running(tmp_path / "data", ["shutdown_timeout=200ms"]) as started:
        warm_up(started)
        yield started


def test_segments_that_cannot_be_read(daemon: Daemon) -> None:
    for name in ("x", f"{time.time_ns() - 10**12:016x}00000000"):
        (daemon.directory / "spool" / f"{name}.seg").mkdir()
    wait_until(lambda: metric(daemon, "spanmeter_drain_unreadable_segments") == 2, 30, "both to be met")
    with witnessed(daemon) as witness:
        pass
    witness.assert_stored(daemon)
    assert daemon.is_ready()
    assert daemon.log().count("A segment cannot be read.") >= 2


def test_a_data_directory_that_is_gone(daemon: Daemon) -> None:
    shutil.move(daemon.directory / "spool", daemon.directory / "elsewhere")
    status, body = daemon.get("/readyz")
    assert status == 503
    assert b"Restore data_dir" in body
    shutil.move(daemon.directory / "elsewhere", daemon.directory / "spool")
    assert daemon.is_ready()


@pytest.mark.slow
def test_the_end_is_kept_while_an_insert_runs(daemon: Daemon, tmp_path: Path, say: Callable[[str], None]) -> None:
    trace = trace_id()
    many = request(*(span({f"k{n}": f"value {n}" for n in range(10)}, trace_id=trace) for _ in range(20_000)))
    send(daemon, many.SerializeToString())
    send(daemon, many.SerializeToString())
    wait_until(lambda: attempt(daemon) > 0, 30, "the insert")
    begun = time.monotonic()
    assert daemon.stop() == 0
    took = time.monotonic() - begun
    say(f"shutdown_timeout of 0.2 s during an insert: ended after {took:.1f} s")
    assert took < 3
    assert all(path.read_text().count("+") == path.read_text().count("-") for path in tmp_path.rglob("*.attempts"))
    daemon.start()
    daemon.wait_until_ready()
    stored = "spanmeter_spool_segments"
    wait_until(lambda: metric(daemon, stored) == 0, 120, "the rest")
