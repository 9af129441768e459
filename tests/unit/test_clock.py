"""The machine's clock, which cannot be before the version that reads it."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector import RELEASED
from collector.errors import StartError
from collector.model.clock import SystemClock, refuse_early_clock
from tests.support.clock import FakeClock

DAY_NS = 86_400 * 10**9
RELEASED_NS = int(datetime.fromisoformat(RELEASED).replace(tzinfo=UTC).timestamp()) * 10**9


def test_the_clock_of_this_machine_is_taken() -> None:
    refuse_early_clock(SystemClock())
    assert time.time_ns() >= RELEASED_NS


def test_the_daemon_does_not_start_on_such_a_clock(tmp_path: Path) -> None:
    """As if this version were of a day to come."""
    start = (
        "import sys, collector; collector.RELEASED = '2999-01-01'; from collector.cli import main; "
        f"sys.exit(main(['serve', '--data-dir', {str(tmp_path / 'data')!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", start], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert "The clock of this machine says" in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("early", [1, DAY_NS, 400 * DAY_NS])
def test_a_clock_that_is_before_this_version_is_refused(early: int) -> None:
    refuse_early_clock(FakeClock(RELEASED_NS))
    with pytest.raises(StartError, match=f"this version is of {RELEASED}"):
        refuse_early_clock(FakeClock(RELEASED_NS - early))
