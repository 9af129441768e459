"""Files of SQLite: opened with every commit on disk before it is answered, brought to this version, and used by name.

Several threads and processes may have a file open; a transaction is short, and the next one waits for it.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from collector.errors import Reason, StartError, Unavailable
from collector.schema import migrations, statement

Row = sqlite3.Row
Value = str | bytes | int | float | None
Parameters = Sequence[Value] | Mapping[str, Value]

# Checking costs about 2.5 ms for each MB. Damage in a larger file is met when what is damaged is read.
_MAX_CHECKED_BYTES = 64 * 2**20
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ADVICE = {
    sqlite3.SQLITE_FULL: "Make room on its disk.",
    sqlite3.SQLITE_IOERR: "Look after its disk; the kernel's log may say more.",
    sqlite3.SQLITE_READONLY: "Let the daemon's user write it and its directory.",
    sqlite3.SQLITE_CANTOPEN: "Let the daemon's user write it and its directory.",
    sqlite3.SQLITE_BUSY: "Another process has held it for too long.",
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: its versions are in `schema/sqlite/SCHEMA`, its statements in `queries` there.

    `name` is what people call it, `loss` what is lost with it, as a sentence. Whoever finds it locked waits for
    `wait_seconds`.
    """

    schema: str
    name: str
    loss: str
    wait_seconds: float = 30.0

    @property
    def folder(self) -> str:
        return f"sqlite/{self.schema}"

    def statement(self, name: str) -> str:
        return statement(f"{self.folder}/queries", name)


class Transaction:
    """What has begun and is not committed yet; statements are named as their files."""

    def __init__(self, connection: sqlite3.Connection, kind: Kind) -> None:
        self._connection = connection
        self._kind = kind

    def run(self, name: str, parameters: Parameters = ()) -> int:
        """The number of rows it changed."""
        return self._connection.execute(self._kind.statement(name), parameters).rowcount

    def run_each(self, name: str, rows: Iterable[Parameters]) -> None:
        """Once for each of `rows`."""
        self._connection.executemany(self._kind.statement(name), rows)

    def rows(self, name: str, parameters: Parameters = ()) -> list[Row]:
        return self._connection.execute(self._kind.statement(name), parameters).fetchall()

    def read(self, of: Callable[[Row], _T], name: str, parameters: Parameters = ()) -> list[_T]:
        """What `of` makes of each row; ValueError and TypeError of it say that a row is not as it was written."""
        return _readings(of, self.rows(name, parameters))


class Database:
    """One connection to one file, for any thread; its users take turns.

    Every method but `close` raises Unavailable(DISK) with what to do when the file cannot be used now.
    """

    def __init__(self, path: Path, kind: Kind, *, check: bool = True) -> None:
        """Open or create the file, for its owner only. Raises StartError; without `check` damage may be met later."""
        self._path = path
        self._kind = kind
        self._lock = threading.Lock()
        self._connection = self._connected()
        try:
            self._set_up(check=check)
        except BaseException:
            self._connection.close()
            raise

    def _connected(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StartError(
                f"Cannot open the {self._kind.name} {self._path}: {error.strerror}. It has to be a file that the "
                "daemon's user can write, or not to be there; or choose another data_dir."
            ) from None
        try:
            connection = sqlite3.connect(
                self._path, timeout=self._kind.wait_seconds, isolation_level=None, check_same_thread=False
            )
        except sqlite3.Error as error:
            raise self._refusal(error) from None
        connection.row_factory = Row
        return connection

    def _set_up(self, *, check: bool) -> None:
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            if check and self._path.stat().st_size <= _MAX_CHECKED_BYTES:
                self._check()
            self._migrate()
        except sqlite3.Error as error:
            raise self._refusal(error) from None

    def _check(self) -> None:
        """Look at the structure of every page."""
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise _DamageError(" ".join(str(found).split()))

    def _migrate(self) -> None:
        versions = migrations(self._kind.folder)
        with _atomic(self._connection):
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if not 0 <= version <= len(versions):
                raise StartError(
                    f"The {self._kind.name} {self._path} is of a newer version of spanmeter ({version}, this one "
                    f"knows {len(versions)}). Run that version, or move the file away. {self._kind.loss}"
                )
            for migration in versions[version:]:
                for text in migration.statements:
                    self._connection.execute(text)
            if version < len(versions):
                self._connection.execute(f"PRAGMA user_version = {len(versions)}")

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """All of it or nothing, on disk when it ends."""
        with self._lock, self._available(), _atomic(self._connection) as connection:
            yield Transaction(connection, self._kind)

    def rows(self, name: str, parameters: Parameters = ()) -> list[Row]:
        """What the named SELECT answers."""
        with self._lock, self._available():
            return Transaction(self._connection, self._kind).rows(name, parameters)

    def read(self, of: Callable[[Row], _T], name: str, parameters: Parameters = ()) -> list[_T]:
        """As a transaction's `read`."""
        rows = self.rows(name, parameters)
        with self._available():
            return _readings(of, rows)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _available(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            text = f"The {self._kind.name} {self._path.name} cannot be used: {self._why(error)}"
            raise Unavailable(Reason.DISK, text) from error

    def _refusal(self, error: sqlite3.Error) -> StartError:
        return StartError(f"Cannot use the {self._kind.name} {self._path}: {self._why(error)}")

    def _why(self, error: sqlite3.Error) -> str:
        """What is wrong and what to do, as sentences."""
        code, name = _primary_code(error), self._path.name
        advice = _ADVICE.get(code, "")
        if code in _DAMAGED:
            advice = (
                f"It is damaged: move {name}, {name}-wal and {name}-shm away while the daemon is stopped. "
                f"{self._kind.loss}"
            )
        return f"{error}. {advice}".rstrip()


def copy_database(source: Path, target: Path) -> None:
    """Write all that is committed in a file to a new one, also while others use it. Raises Unavailable(DISK)."""
    try:
        with closing(sqlite3.connect(source)) as reading, closing(sqlite3.connect(target)) as writing:
            reading.backup(writing)
    except sqlite3.Error as error:
        raise Unavailable(Reason.DISK, f"{source} cannot be copied to {target}: {error}.") from error


@contextmanager
def starting() -> Iterator[None]:
    """What cannot be used within this stops the start: Unavailable becomes StartError."""
    try:
        yield
    except Unavailable as error:
        raise StartError(str(error)) from None


def storable(text: str) -> str:
    """Text as SQLite and Arrow can hold it: half a surrogate pair cannot be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


@contextmanager
def _atomic(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


class _DamageError(sqlite3.DatabaseError):
    """Damage that SQLite itself does not raise."""


def _primary_code(error: sqlite3.Error) -> int:
    """SQLite's result code without its details."""
    if isinstance(error, _DamageError):
        return sqlite3.SQLITE_CORRUPT
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:  # of Python's module, which meets text that is no UTF-8
        return sqlite3.SQLITE_CORRUPT if "decode to UTF-8" in str(error) else sqlite3.SQLITE_ERROR
    return int(code) & 0xFF


def _readings(of: Callable[[Row], _T], rows: Iterable[Row]) -> list[_T]:
    try:
        return [of(row) for row in rows]
    except (ValueError, TypeError) as error:
        raise _DamageError(f"a row is not as it was written ({error})") from error
