"""Backups beside ingest, and SIGKILL at random moments: what a backup promises is there once it is restored."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.backups import back_up, restore
from tests.support.daemon import Daemon
from tests.support.engine import prepare_store, stored_by_trace
from tests.support.exporters import Exporter, acknowledged_by, acknowledgements, finish, sending
from tests.support.tally import tally
from tests.support.waiting import wait_until


def acknowledged_more(senders: list[Exporter], requests: int = 20) -> dict[str, int]:
    before = acknowledgements(senders)
    wait_until(lambda: acknowledgements(senders) >= before + requests, 60, "acknowledgements")
    return acknowledged_by(senders)


def store_all(daemon: Daemon) -> None:
    """Start on a restored directory, and stop once nothing is in the spool."""
    daemon.start()
    daemon.wait_until_ready()
    wait_until(lambda: daemon.metric("spanmeter_spool_segments") == 0, 60, "an empty spool")
    assert daemon.stop() == 0, daemon.log_tail()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kills", "processes"),
    [
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(4, 1, marks=pytest.mark.long),
        pytest.param(2, 2, marks=pytest.mark.long),
    ],
)
def test_what_was_acknowledged_before_a_backup_is_restored_once(
    tmp_path: Path, kills: int, processes: int, say: Callable[[str], None]
) -> None:
    seed = int(os.environ.get("SPANMETER_SEED", str(time.time_ns())))
    moments = random.Random(seed)
    settings = ("spool.flush_interval=150ms", f"processes={processes}")
    daemon = Daemon(tmp_path / "data", *settings, keeps_ports=True)
    prepare_store(daemon.directory / "store")
    daemon.start()
    daemon.wait_until_ready()
    senders = sending(daemon.ports, 4, pause=0.01)
    taken: list[tuple[Path, dict[str, int]]] = []
    try:
        for number in range(kills):
            before = acknowledged_more(senders)
            taken.append((back_up(daemon, *(["--full"] if number % 3 == 0 else [])), before))
            before = acknowledged_more(senders)
            taken.append((back_up(daemon), before))
            time.sleep(moments.uniform(0, 1.0))
            daemon.kill()
            daemon.start()
            daemon.wait_until_ready()
        finish(senders)
    finally:
        daemon.kill()
    for number, (backup, before) in enumerate(taken):
        again = Daemon(tmp_path / f"restored-{number}", *settings)
        restore(backup, again.directory)
        store_all(again)
        found = tally(before, *stored_by_trace(again.directory / "store"))
        say(f"backup {backup.name} (seed {seed}): {found}")
        assert found.acknowledged > 0
        assert found.lost == 0
        assert found.duplicate_rows == 0
        assert found.duplicates_under_final == 0
