"""The embedded engine's own BACKUP and RESTORE, of and into directories that its configuration allows.

A backup is of one moment: the engine first notes the parts that there are, and copies their files then. Names are
relative to the allowed directory, which may be moved as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from clickhouse_connect.driver.binding import format_str, quote_identifier

from collector.errors import Reason, Unavailable
from collector.store.client import Store
from collector.store.sql import named_query

_STORE = "store"  # below the directory of one backup


@dataclass(frozen=True, slots=True)
class BackupState:
    """How far a backup is: `noted` are its parts, `done` all copies. Before that `bytes` may still grow."""

    noted: bool
    done: bool
    bytes: int


def begin_backup(store: Store, name: str, base: str, bandwidth: int) -> str:
    """Begin to back up the database; the id to ask by. `base` is a backup whose files need no copy; empty for none.

    `bandwidth` is the most bytes a second that are copied; 0 for no limit. Raises Unavailable or Rejected.
    """
    settings = f"max_backup_bandwidth = {bandwidth:d}" + (f", base_backup = {_file(base)}" if base else "")
    database = quote_identifier(store.database)
    # Names of files cannot be bound.
    begun, _ = store.command(f"BACKUP DATABASE {database} TO {_file(name)} SETTINGS {settings} ASYNC")
    return str(begun)


def backup_state(store: Store, backup_id: str) -> BackupState:
    """Raises Unavailable, also when the backup has failed."""
    (row,) = store.query(named_query("backup_state"), {"id": backup_id}).to_pylist()
    if row["Error"]:
        raise Unavailable(Reason.STORE, f"The engine could not make the backup: {row['Error']}")
    done = row["Status"] == "BACKUP_CREATED"
    return BackupState(noted=done or row["Files"] > 0, done=done, bytes=row["Bytes"])


def cancel_backup(store: Store, backup_id: str) -> None:
    """End a backup that runs, and wait until it has ended. Raises Unavailable or Rejected."""
    store.command(named_query("cancel_backup"), {"id": backup_id})


def restore_database(store: Store, name: str) -> None:
    """Make the database of a backup, which must not exist. Raises Unavailable or Rejected."""
    store.command(f"RESTORE DATABASE {quote_identifier(store.database)} FROM {_file(name)}")


def stored_rows(store: Store) -> Mapping[str, int]:
    """Rows by table, those replaced by later versions included. Raises Unavailable."""
    rows = store.query(named_query("stored_rows"), {"database": store.database}).to_pylist()
    return {row["Table"]: row["Rows"] for row in rows}


def _file(name: str) -> str:
    return f"File({format_str(f'{name}/{_STORE}')})"
