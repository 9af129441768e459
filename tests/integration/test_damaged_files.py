"""`spanmeter serve` where a file of SQLite cannot be used: exit code 3 and a sentence with the remedy."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.model.leases import Lease, LeaseState
from collector.spending.budgeting import LEASES_FILE
from collector.spending.lease_store import LeaseStore
from collector.webhooks.outbox import FILE, Outbox
from tests.support import damage
from tests.support.clock import FakeClock
from tests.support.daemon import Daemon
from tests.support.webhooks import an_event

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1
TABLES = {FILE: "events", LEASES_FILE: "leases"}
NAMES = {FILE: "webhook outbox", LEASES_FILE: "lease file"}


def header(path: Path) -> None:
    damage.overwrite(path, 0)


def middle(path: Path) -> None:
    damage.overwrite(path, damage.root_page(path, TABLES[path.name]))


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def read_only(path: Path) -> None:
    path.chmod(0o400)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The directory of a daemon that has sent and leased."""
    folder = tmp_path / "data"
    outbox = Outbox(folder / FILE, FakeClock())
    outbox.record([an_event(number, data={"message": "x" * 200}) for number in range(200)])
    outbox.close()
    leases = [Lease(f"lease_{number}", "default", {}, 1, 1, 1, 2**62, 0, 0, LeaseState.OPEN) for number in range(500)]
    with LeaseStore(folder / LEASES_FILE) as store:
        store.put(leases).result()
    return folder


def unprivileged(command: list[str]) -> list[str]:
    """The command, for which the permissions of files hold also where it runs as root."""
    if os.geteuid() != 0:
        return command
    drop = f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_PR_CAPBSET_DROP}, {_CAP_DAC_OVERRIDE}, 0, 0, 0)"
    return [sys.executable, "-c", f"{drop}; os.execv(sys.argv[1], sys.argv[1:])", *command]


@pytest.mark.slow
@pytest.mark.parametrize("name", [FILE, LEASES_FILE])
@pytest.mark.parametrize(
    ("harm", "sentence", "remedy"),
    [
        (header, "Cannot use the {name} {path}: file is not a database. It is damaged:", "move {file}, {file}-wal and"),
        (middle, "Cannot use the {name} {path}: ", "It is damaged: move {file}, {file}-wal and {file}-shm away while"),
        (
            damage.truncate,
            "Cannot use the {name} {path}: database disk image is malformed. ",
            "move {file}, {file}-wal",
        ),
        (directory, "Cannot open the {name} {path}: Is a directory. ", "choose another data_dir."),
        (read_only, "Cannot open the {name} {path}: Permission denied. ", "a file that the daemon's user can write"),
    ],
    ids=["header", "middle", "truncated", "directory", "read-only"],
)
def test_serve_ends_with_exit_code_3(
    data: Path, name: str, harm: Callable[[Path], None], sentence: str, remedy: str
) -> None:
    path = data / name
    harm(path)
    command = unprivileged(Daemon(data).command())
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    facts = {"name": NAMES[name], "path": path, "file": name}
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("spanmeter: ")]
    assert line.removeprefix("spanmeter: ").startswith(sentence.format(**facts))
    assert remedy.format(**facts) in line
    assert "Traceback" not in ended.stderr
    assert ended.returncode == 3
