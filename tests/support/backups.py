"""Backups of a daemon, taken by the command as people do."""

import subprocess
import sys
from pathlib import Path

from tests.support.daemon import Daemon


def back_up(daemon: Daemon, *options: str) -> Path:
    """The directory of a backup of a running daemon."""
    before = set(backups_of(daemon))
    command = [sys.executable, "-m", "collector", "backup", "--data-dir", str(daemon.directory), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr + daemon.log_tail()
    (made,) = set(backups_of(daemon)) - before
    assert made.name in done.stdout
    return made


def backups_of(daemon: Daemon) -> list[Path]:
    """Finished or not."""
    directory = daemon.directory / "backups"
    return sorted(path for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []


def restore(backup: Path, directory: Path) -> dict[str, int]:
    """In a process of its own: each opens one engine. The rows it says are there, by table."""
    command = [sys.executable, "-m", "collector", "restore", str(backup), "--data-dir", str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = (line.strip().partition(": ") for line in done.stdout.splitlines() if line.endswith(" rows"))
    return {table: int(count.partition(" ")[0]) for table, _, count in lines}
