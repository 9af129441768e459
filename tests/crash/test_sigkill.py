"""SIGKILL at random moments under load: every acknowledged span is stored, and counted once.

`SPANMETER_KILLS=200` is the long run; the suite does a dozen. `SPANMETER_SEED` repeats a run's moments.
"""

import os
import random
import time
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, stop_merges, stored_by_trace
from tests.support.exporters import acknowledged_by, exporters
from tests.support.tally import tally

KILLS = int(os.environ.get("SPANMETER_KILLS", "12"))


@pytest.mark.slow
@pytest.mark.timeout(120 + KILLS * 15)
def test_acknowledged_spans_survive_sigkill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("SPANMETER_SEED", str(time.time_ns())))
    moments = random.Random(seed)
    daemon = DaemonProcess(tmp_path / "data", "spool.flush_interval=150ms")
    daemon.start()
    daemon.wait_until_ready()
    assert daemon.stop() == 0
    stop_merges(daemon.directory / "store")
    senders = exporters(daemon.grpc, daemon.http, 4, pause=0.01)
    try:
        daemon.start()
        for sender in senders:
            sender.start()
        for number in range(KILLS):
            if number % 5 == 4:  # before it is ready, often before it listens
                time.sleep(moments.uniform(0.05, 1.5))
            else:
                daemon.wait_for_ports()
                time.sleep(moments.uniform(0.3, 2.5))
            daemon.kill()
            daemon.start()
        daemon.wait_until_ready()
        for sender in senders:
            sender.finish()
        assert daemon.stop() == 0, daemon.log_tail()
    finally:
        daemon.kill()
    result = tally(acknowledged_by(senders), *stored_by_trace(daemon.directory / "store"))
    retries = sum(sender.retries for sender in senders)
    with capsys.disabled():
        print(f"\n{KILLS} SIGKILLs (seed {seed}), {retries} retried sends: {result}")
    assert [failure for sender in senders for failure in sender.failures] == []
    assert result.acknowledged > 100 * min(KILLS, 10)
    assert result.lost == 0
    assert result.stored == result.acknowledged
    assert result.duplicates_under_final == 0
    assert list((daemon.directory / "spool").glob("*.seg")) == []
    assert list((daemon.directory / "spool" / "deadletter").iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_killed_while_it_starts_for_the_first_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The engine's directory and the tables may be half made; the next start finishes them."""
    daemon = DaemonProcess(tmp_path / "data", "spool.flush_interval=150ms")
    moments = random.Random()
    senders = exporters(daemon.grpc, daemon.http, 2, pause=0.01)
    try:
        daemon.start()
        for sender in senders:
            sender.start()
        for _ in range(8):
            time.sleep(moments.uniform(0.4, 1.6))
            daemon.kill()
            daemon.start()
        daemon.wait_until_ready()
        for sender in senders:
            sender.finish()
        assert daemon.stop() == 0, daemon.log_tail()
    finally:
        daemon.kill()
    result = tally(acknowledged_by(senders), *stored_by_trace(daemon.directory / "store"))
    with capsys.disabled():
        print(f"\n8 SIGKILLs while starting for the first time: {result}")
    assert result.acknowledged > 0
    assert result.lost == 0
    assert result.stored == result.acknowledged
    assert result.duplicates_under_final == 0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_orderly_restarts_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    daemon = DaemonProcess(tmp_path / "data", "spool.flush_interval=150ms")
    daemon.start()
    daemon.wait_until_ready()
    assert daemon.stop() == 0
    stop_merges(daemon.directory / "store")
    senders = exporters(daemon.grpc, daemon.http, 4, pause=0.01)
    try:
        daemon.start()
        for sender in senders:
            sender.start()
        for _ in range(4):
            daemon.wait_until_ready()
            time.sleep(1)
            assert daemon.stop() == 0, daemon.log_tail()
            assert list((daemon.directory / "spool").glob("*.seg")) == [], "stopped with spans in the spool"
            daemon.start()
        daemon.wait_until_ready()
        for sender in senders:
            sender.finish()
        assert daemon.stop() == 0, daemon.log_tail()
    finally:
        daemon.kill()
    result = tally(acknowledged_by(senders), *stored_by_trace(daemon.directory / "store"))
    with capsys.disabled():
        print(f"\n4 orderly restarts under load: {result}")
    assert [failure for sender in senders for failure in sender.failures] == []
    assert result.acknowledged > 500
    assert result.lost == 0
    assert result.stored == result.acknowledged
    assert result.duplicate_rows == 0
