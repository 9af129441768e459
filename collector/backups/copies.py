"""Copies of what lies beside the store in a data directory: the spool, and the files of SQLite."""

import contextlib
import os
import shutil
from pathlib import Path

from collector.evals.judgements import FILE as JUDGEMENTS_FILE
from collector.evals.verdict_outbox import FILE as VERDICTS_FILE
from collector.files import sync_directory
from collector.spending.budgeting import LEASES_FILE
from collector.spool import SEGMENT_SUFFIXES, shares_in
from collector.sqlite import copy_database
from collector.webhooks.outbox import FILE as OUTBOX_FILE

DATABASES = (OUTBOX_FILE, LEASES_FILE, JUDGEMENTS_FILE, VERDICTS_FILE)
_PLAIN = ("prices.json",)
_SPOOL, _DEAD_LETTER = "spool", "deadletter"


def copy_beside_store(data: Path, backup: Path) -> None:
    """Copy them from a data directory. Nothing may leave the spool meanwhile; what comes to it may. Raises OSError."""
    copy_spool(data / _SPOOL, backup / _SPOOL)
    for name in DATABASES:
        if (data / name).exists():
            copy_database(data / name, backup / name)
    for name in _PLAIN:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(data / name, backup / name)


def copy_spool(spool: Path, target: Path) -> None:
    """Every segment into one folder, and the dead letter.

    Receiver processes move theirs into the spool's own folder, under the same name: that one is looked at last.
    """
    target.mkdir(mode=0o700)
    for folder in (*shares_in(spool), spool):
        for path in sorted(folder.iterdir()):
            if path.suffix in SEGMENT_SUFFIXES:
                with contextlib.suppress(FileNotFoundError):  # moved meanwhile
                    shutil.copyfile(path, target / path.name)
    if (spool / _DEAD_LETTER).is_dir():
        _copy_tree(spool / _DEAD_LETTER, target / _DEAD_LETTER)


def spool_bytes(data: Path) -> int:
    """About what the copy of the spool takes; less where segments leave it meanwhile."""
    size = 0
    for path in (data / _SPOOL).rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            size += path.stat().st_size
    return size


def put_beside_store(backup: Path, data: Path) -> None:
    """Copy them into a data directory that has none of them. Raises OSError."""
    _copy_tree(backup / _SPOOL, data / _SPOOL)
    for name in (*DATABASES, *_PLAIN):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(backup / name, data / name)


def _copy_tree(source: Path, target: Path) -> None:
    """Raises OSError for the first file that fails; shutil's own would go on, and tell of all as a list."""
    for folder, _, names in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(mode=0o700, exist_ok=True)
        for name in names:
            shutil.copyfile(Path(folder) / name, into / name)


def sync_tree(directory: Path) -> None:
    """Make every file and name below a directory durable. Raises OSError."""
    for folder, _, names in os.walk(directory):
        for name in names:
            fd = os.open(Path(folder) / name, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        sync_directory(Path(folder))
