"""SQLite files of the daemon, damaged in the ways that disks and people damage files."""

import sqlite3
from contextlib import closing
from pathlib import Path

PAGE = 4096


def overwrite(path: Path, page: int) -> None:
    """Put noise where a page was; the first one, with the header, is 0."""
    with path.open("r+b") as file:
        file.seek(page * PAGE)
        file.write(b"\xa5noise\x5a" * (PAGE // 7))


def truncate(path: Path) -> None:
    """Lose the second half."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 2 // PAGE * PAGE)


def root_page(path: Path, table: str) -> int:
    """The number of the page that a table begins with, as `overwrite` counts."""
    with closing(sqlite3.connect(path)) as connection:
        ((number,),) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
    return int(number) - 1


def change_and_forget(path: Path, statement: str) -> None:
    """Let another process change the file, so that whoever has it open reads its pages anew."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
