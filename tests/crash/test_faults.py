"""The daemon while its store is away, dies, or hangs; and two daemons that want one directory."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clickhouse_server import ClickHouseProcess
from tests.support.daemon import Daemon
from tests.support.engine import prepare_store, stored_by_trace
from tests.support.exporters import Exporter, acknowledged_by, finish, retries, sending
from tests.support.tally import Tally, tally
from tests.support.waiting import wait_until

STORED, FAILED = "spanmeter_drain_stored_spans_total", "spanmeter_drain_failed_attempts_total"
OUTAGE_SECONDS = float(os.environ.get("SPANMETER_OUTAGE_SECONDS", "5"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseProcess]:
    made = ClickHouseProcess(tmp_path / "clickhouse")
    yield made
    made.kill()


@pytest.fixture
def daemon(tmp_path: Path, server: ClickHouseProcess) -> Iterator[Daemon]:
    """A daemon of the `server`, whose tables exist and keep every row as it was inserted."""
    made = Daemon(
        tmp_path / "data",
        f"store.url={server.url}",
        "store.insert_timeout=2s",
        "store.retry_max_interval=1s",
        "spool.flush_interval=200ms",
        keeps_ports=True,
    )
    prepare_store(server.directory)
    yield made
    made.kill()


def settled(daemon: Daemon, senders: list[Exporter]) -> dict[str, int]:
    """Let everything be acknowledged and stored, and stop; the acknowledged spans by trace."""
    finish(senders)
    wait_until(lambda: daemon.metric("spanmeter_spool_segments") == 0, 120, "an empty spool")
    assert daemon.stop() == 0, daemon.log_tail()
    return acknowledged_by(senders)


def counted(daemon: Daemon, server: ClickHouseProcess, senders: list[Exporter]) -> Tally:
    """Settle, stop the server too, and count."""
    acknowledged = settled(daemon, senders)
    server.stop()
    return tally(acknowledged, *stored_by_trace(server.directory))


@pytest.mark.slow
@pytest.mark.timeout(240 + int(OUTAGE_SECONDS) * 3)
def test_an_absent_store_costs_nothing(daemon: Daemon, server: ClickHouseProcess, say: Callable[[str], None]) -> None:
    daemon.start()
    daemon.wait_for_ports()
    senders = sending(daemon.ports, 4, pause=0.01)
    time.sleep(OUTAGE_SECONDS)
    retried = retries(senders)
    wait_until(lambda: daemon.metric("spanmeter_spool_bytes") > 100_000, 60, "spans in the spool")
    waiting = daemon.metric("spanmeter_spool_bytes")
    assert daemon.metric("spanmeter_store_ready") == 0
    back = time.monotonic()
    server.start()
    daemon.wait_until_ready()
    wait_until(lambda: daemon.metric("spanmeter_drain_lag_seconds") < 3, 120, "catching up")
    caught_up = time.monotonic() - back
    result = counted(daemon, server, senders)
    say(
        f"store away {OUTAGE_SECONDS:.0f} s under load ({retried} retried sends, {waiting / 1e6:.1f} MB spooled, "
        f"caught up {caught_up:.1f} s after it came back): {result}"
    )
    assert retried == 0  # a store that is away is no reason to refuse
    result.assert_exact()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_store_killed_again_and_again(daemon: Daemon, server: ClickHouseProcess, say: Callable[[str], None]) -> None:
    moments = random.Random()
    server.start()
    daemon.start()
    daemon.wait_until_ready()
    senders = sending(daemon.ports, 4, pause=0.01)
    for _ in range(5):
        time.sleep(moments.uniform(0.5, 2))
        server.kill()
        time.sleep(moments.uniform(0, 1))
        server.start()
    result = counted(daemon, server, senders)
    say(f"store killed 5 times under load: {result}")
    result.assert_exact()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_store_that_hangs_in_the_middle_of_inserts(
    daemon: Daemon, server: ClickHouseProcess, say: Callable[[str], None]
) -> None:
    """The insert times out here and is carried out there, beside its repetition."""
    server.start()
    daemon.start()
    daemon.wait_until_ready()
    senders = sending(daemon.ports, 4, pause=0.01)
    for _ in range(2):
        stored, failed = (daemon.metric(name) for name in (STORED, FAILED))
        wait_until(lambda stored=stored: daemon.metric(STORED) > stored, 60, "an insert")  # type: ignore[misc]
        server.signal(signal.SIGSTOP)
        wait_until(lambda failed=failed: daemon.metric(FAILED) > failed, 60, "an insert that hangs")  # type: ignore[misc]
        server.signal(signal.SIGCONT)
    result = counted(daemon, server, senders)
    say(f"store hung twice: {result}")
    result.assert_exact()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_daemon_stopped_while_its_store_is_away_continues_later(daemon: Daemon, server: ClickHouseProcess) -> None:
    daemon.start()
    daemon.wait_for_ports()
    senders = sending(daemon.ports, 2)
    wait_until(lambda: daemon.metric("spanmeter_spool_bytes") > 1_000_000, 30, "a megabyte in the spool")
    finish(senders)
    assert daemon.stop() == 0, daemon.log_tail()
    server.start()
    daemon.start()
    daemon.wait_until_ready()
    counted(daemon, server, senders).assert_exact()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_full_spool_refuses_and_loses_nothing(
    daemon: Daemon, server: ClickHouseProcess, say: Callable[[str], None]
) -> None:
    daemon.settings += ["spool.max_bytes=3MiB"]
    daemon.start()
    daemon.wait_for_ports()
    senders = sending(daemon.ports, 4)
    wait_until(lambda: all(sender.retries > 5 for sender in senders), 60, "refusals")
    assert daemon.metric("spanmeter_spool_bytes") <= 3 * 1024 * 1024
    server.start()
    result = counted(daemon, server, senders)
    say(f"spool full, {retries(senders)} retried sends: {result}")
    result.assert_exact()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


def take_the_rest(disk: Path) -> None:
    """Leave no room: what the store compresses well would take minutes to fill the disk by itself."""
    with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_full_disk_under_load(tiny_disk: Path, say: Callable[[str], None]) -> None:
    """Spool and embedded store share a disk that fills up, then grows."""
    daemon = Daemon(tiny_disk / "data", "spool.min_free_bytes=0", "spool.flush_interval=150ms", keeps_ports=True)
    daemon.log_file = tiny_disk.with_suffix(".log")
    try:
        daemon.start()
        daemon.wait_until_ready()
        senders = sending(daemon.ports, 4)
        wait_until(lambda: all(len(sender.acknowledged) > 100 for sender in senders), 60, "load")
        take_the_rest(tiny_disk)
        wait_until(lambda: all(sender.retries > 20 for sender in senders), 60, "refusals")
        refused = retries(senders)
        subprocess.run(["mount", "-o", "remount,size=1g", str(tiny_disk)], check=True, capture_output=True)
        acknowledged = settled(daemon, senders)
    finally:
        daemon.kill()
    result = tally(acknowledged, *stored_by_trace(daemon.directory / "store"))
    say(f"disk full under load, {refused} retried sends: {result}")
    result.assert_exact(raw=False)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_second_daemon_on_the_directory_does_not_start(tmp_path: Path) -> None:
    first = Daemon(tmp_path / "data")
    first.start()
    try:
        first.wait_for_ports()
        second = Daemon(tmp_path / "data")
        result = subprocess.run(second.command(), capture_output=True, timeout=30, check=False)
        assert result.returncode == 3
        assert result.stderr.decode().splitlines()[-1] == (
            f"spanmeter: {tmp_path / 'data' / 'spool'} is in use by another spanmeter (process {first.process.pid}). "
            "Stop it, or give this one its own data_dir."
        )
        assert "Traceback" not in result.stderr.decode()
        first.wait_until_ready()
        assert first.stop() == 0
    finally:
        first.kill()
