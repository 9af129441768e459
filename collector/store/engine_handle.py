"""Handles on the embedded engine for statements of people, each used by one of them and then closed."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

_MAX_STREAMED_ROWS = 8192
_PREFIX = re.compile(r"(?:Code: \d+\. DB::Exception: )*Code: (\d+)\. DB::Exception: ", re.DOTALL)
_NAME = re.compile(r"\(([A-Z0-9_]+)\)(?: \(version [^)]*\))?\s*$")


class EngineError(Exception):
    """The engine refused a statement: ClickHouse's number and name of the error, and its text without these."""

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.code, self.name, self.text = code, name, text


@dataclass(frozen=True, slots=True)
class Counts:
    """What a statement gave."""

    rows: int
    bytes: int
    seconds: float


class EngineHandle:
    """Settings of a handle end with it. It belongs to one thread at a time; every method may raise EngineError."""

    def __init__(self, path: str) -> None:
        import chdb  # noqa: PLC0415 - the store has set its allocator and time zone before it is first loaded

        self._connection = chdb.connect(path)

    def text(self, statement: str, parameters: Mapping[str, str] | None = None) -> str:
        """The result of a statement that names its own format."""
        return bytes(self._run(statement, parameters).bytes()).decode()

    def run(self, statement: str, parameters: Mapping[str, str] | None = None) -> Counts:
        """Run a statement whose result goes elsewhere."""
        return _counts(self._run(statement, parameters))

    def result(self, statement: str, form: str, parameters: Mapping[str, str] | None = None) -> tuple[bytes, Counts]:
        """The result of a statement in the format `form`, unless it names one itself, and what it read or wrote."""
        result = self._run(statement, parameters, form)
        return bytes(result.bytes() or b""), _counts(result)

    def stream(self, statement: str, parameters: Mapping[str, str]) -> Iterator[pa.RecordBatch]:
        """The rows of a SELECT, block by block."""
        try:
            with self._connection.send_query(statement, "Arrow", params=dict(parameters)) as result:
                yield from result.record_batch(rows_per_batch=_MAX_STREAMED_ROWS)
        except (RuntimeError, ValueError) as error:
            raise _engine_error(str(error)) from None

    def _run(self, statement: str, parameters: Mapping[str, str] | None, form: str = "CSV") -> Any:
        try:
            return self._connection.query(statement, form, params=dict(parameters or {}))
        except (RuntimeError, ValueError) as error:
            raise _engine_error(str(error)) from None

    def close(self) -> None:
        self._connection.close()


def _counts(result: Any) -> Counts:
    return Counts(result.rows_read(), result.bytes_read(), result.elapsed())


def _engine_error(message: str) -> EngineError:
    prefix = _PREFIX.search(message)
    name = _NAME.search(message)
    if not prefix:
        return EngineError(1002, "UNKNOWN_EXCEPTION", message.strip())
    if not name:  # cut off, by a NUL of a value that it repeats
        return EngineError(int(prefix[1]), "UNKNOWN_EXCEPTION", message[prefix.end() :].strip())
    return EngineError(int(prefix[1]), name[1], message[prefix.end() : name.start()].strip())
