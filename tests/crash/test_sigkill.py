"""SIGKILL at random moments under load: every acknowledged span is stored, and counted once.

The suite does a few, and many where it has minutes. `SPANMETER_KILLS` is how many then, `SPANMETER_SEED` repeats a
run's moments.
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.engine import prepare_store, stored_by_trace
from tests.support.exporters import Exporter, acknowledged_by, acknowledgements, finish, retries, sending
from tests.support.tally import Tally, tally
from tests.support.waiting import wait_until

KILLS = int(os.environ.get("SPANMETER_KILLS", "30"))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "data", "spool.flush_interval=150ms", keeps_ports=True)
    yield made
    made.kill()


def settled(daemon: Daemon, senders: list[Exporter]) -> Tally:
    """Let everything be acknowledged and stored, and count."""
    daemon.wait_until_ready()
    finish(senders)
    wait_until(lambda: daemon.metric("spanmeter_spool_segments") == 0, 240, "an empty spool")
    assert daemon.stop() == 0, daemon.log_tail()
    assert list((daemon.directory / "spool").glob("*.seg")) == []
    assert list((daemon.directory / "spool" / "deadletter").iterdir()) == []
    return tally(acknowledged_by(senders), *stored_by_trace(daemon.directory / "store"))


def wait_for_acknowledgement(senders: list[Exporter]) -> None:
    """One of them has just been told that its spans are kept."""
    before = acknowledgements(senders)
    wait_until(lambda: acknowledgements(senders) > before, 60, "an acknowledgement")


@pytest.mark.timeout(120 + KILLS * 15)
@pytest.mark.parametrize(
    "kills", [pytest.param(6, marks=pytest.mark.slow), pytest.param(KILLS, marks=pytest.mark.long)]
)
def test_acknowledged_spans_survive_sigkill(daemon: Daemon, kills: int, say: Callable[[str], None]) -> None:
    seed = int(os.environ.get("SPANMETER_SEED", str(time.time_ns())))
    moments = random.Random(seed)
    prepare_store(daemon.directory / "store")
    daemon.start()
    senders = sending(daemon.ports, 4, pause=0.01)
    for number in range(kills):
        if number % 5 == 4:  # before it is ready, often before it listens
            time.sleep(moments.uniform(0.05, 1.5))
        else:
            wait_for_acknowledgement(senders)
            time.sleep(moments.uniform(0, 2.2))
        daemon.kill()
        daemon.start()
    result = settled(daemon, senders)
    say(f"{kills} SIGKILLs (seed {seed}), {retries(senders)} retried sends: {result}")
    result.assert_exact(100 * min(kills, 10), raw=False)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_killed_while_it_starts_for_the_first_time(daemon: Daemon, say: Callable[[str], None]) -> None:
    """The engine's directory and the tables may be half made; the next start finishes them."""
    moments = random.Random()
    daemon.start()
    senders = sending(daemon.ports, 2, pause=0.01)
    for _ in range(8):
        time.sleep(moments.uniform(0.4, 1.6))
        daemon.kill()
        daemon.start()
    result = settled(daemon, senders)
    say(f"8 SIGKILLs while starting for the first time: {result}")
    result.assert_exact(0, raw=False)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_orderly_restarts_under_load(daemon: Daemon, say: Callable[[str], None]) -> None:
    prepare_store(daemon.directory / "store")
    daemon.start()
    senders = sending(daemon.ports, 4, pause=0.01)
    for _ in range(4):
        daemon.wait_until_ready()
        wait_for_acknowledgement(senders)
        assert daemon.stop() == 0, daemon.log_tail()
        assert list((daemon.directory / "spool").glob("*.seg")) == [], "stopped with spans in the spool"
        daemon.start()
    result = settled(daemon, senders)
    say(f"4 orderly restarts under load: {result}")
    result.assert_exact()
