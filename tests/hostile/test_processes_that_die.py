"""Receiver processes that die again and again: the ports do not stay without any of them."""

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.support.daemon import Daemon, running
from tests.support.waiting import wait_until
from tests.support.witness import warm_up, witnessed

ROUNDS = 4


def pauses(daemon: Daemon) -> list[float]:
    """How long each start waits by what the log says."""
    lines = [json.loads(line) for line in daemon.log().splitlines() if line.startswith("{")]
    return [line["retry_in"] for line in lines if line["event"].startswith("A receiver process has ended")]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_they_do_not_all_pause_at_once(tmp_path: Path, say: Callable[[str], None]) -> None:
    """Each time both die, each would wait twice as long as before if the other were there."""
    with running(tmp_path / "data", ["processes=2"]) as daemon:
        warm_up(daemon)
        with witnessed(daemon) as witness:
            for number in range(1, ROUNDS + 1):
                wait_until(daemon.is_ready, 60, "readiness")
                for child in psutil.Process(daemon.process.pid).children():
                    if child.cmdline()[-1:] == ["worker"]:
                        child.kill()
                wait_until(lambda number=number: len(pauses(daemon)) == 2 * number, 60, "both ends")  # type: ignore[misc]
            wait_until(daemon.is_ready, 60, "readiness")
        found = pauses(daemon)
        say(f"both receivers killed {ROUNDS} times: they paused for {found} s")
        # Whose end is seen second does not count on the other.
        assert max(found[1::2]) <= 1.0
        witness.assert_stored(daemon)
