"""Answers as ClickHouse gives them.

Their beginning is held back, so that early failures have a status; late ones are marked at the end.
"""

import json
import secrets
import string
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Final

from collector.bi import policy
from collector.bi.compression import Packer, Plain, packing
from collector.bi.errors import QueryError
from collector.bi.queries import Engine, Job
from collector.bi.request import Asked, Message
from collector.net.asgi.early_headers import EarlyHeaders

Send = Callable[[Message], Awaitable[None]]

_HELD_BYTES = 1 << 20
# Of an answer that is held back until its end (wait_end_of_query).
_MAX_SPOOLED_BYTES = 1 << 30
_TEXT: Final = "text/plain; charset=UTF-8"
_JSON: Final = "application/json; charset=UTF-8"
_LINES: Final = "application/x-ndjson; charset=UTF-8"
_TSV: Final = "text/tab-separated-values; charset=UTF-8"
_BINARY: Final = "application/octet-stream"
_TYPES: Final[Mapping[str, str]] = {
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "CSVWithNamesAndTypes": "text/csv; charset=UTF-8; header=present",
    "Markdown": "text/markdown; charset=UTF-8",
    "XML": "application/xml; charset=UTF-8",
    "Arrow": "application/vnd.apache.arrow.file",
    "ArrowStream": "application/vnd.apache.arrow.stream",
    "Parquet": "application/vnd.apache.parquet",
}
_BINARY_FORMATS = ("Native", "RowBinary", "ORC", "Avro", "BSON", "MsgPack")


def content_type(name: str) -> str:
    """The Content-Type of a format."""
    if name in _TYPES:
        return _TYPES[name]
    if name.startswith("JSON"):
        return _LINES if "EachRow" in name or name in ("JSONL", "JSONLines") else _JSON
    if name == "NDJSON":
        return _LINES
    if name.startswith(_BINARY_FORMATS):
        return _BINARY
    return _TSV if name.startswith(("TSV", "TabSeparated")) else _TEXT


class Answer:
    """The answer to one request. Its status is decided when a mebibyte of it is there, or all of it."""

    def __init__(self, send: Send, scope: Message, engine: Engine) -> None:
        self._send = send
        self._early: EarlyHeaders | None = scope.get("extensions", {}).get("early_headers")
        self._end_abruptly: Callable[[], None] = scope.get("extensions", {}).get("abort", lambda: None)
        self._engine = engine
        self._tag = "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        self._job: Job | None = None
        self._encoding = ""
        self._packer: Packer = Plain()
        self._held: IO[bytes] = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115 - closed by end and fail
        self._max_held = _HELD_BYTES
        self._size = 0
        self._started = False
        self.query_id = secrets.token_hex(16)

    def begin(self, asked: Asked, job: Job) -> None:
        """What follows is the result of `job`."""
        self._job = job
        self._encoding, self._packer = packing(asked.url, asked.headers)
        if asked.waits_for_end:
            self._max_held = _MAX_SPOOLED_BYTES

    async def plain(self, body: bytes, status: int = 200) -> None:
        """A short text that is no result."""
        await self._head(status, {"content-type": _TEXT, "content-length": str(len(body))})
        await self._send({"type": "http.response.body", "body": body})

    def progress(self, seconds: float) -> None:
        """Say, in a header ahead of the answer, for how long its query has been running."""
        if self._early and not self._started:
            self._early([(b"X-ClickHouse-Progress", _running(seconds).encode())])

    async def add(self, data: bytes) -> None:
        """More of the result. May wait for the client to take what came before."""
        self._size += len(data)
        if not self._started and self._size <= self._max_held:
            self._held.write(data)
            return
        if not self._started:
            if self._max_held > _HELD_BYTES:
                text = f"The answer has more than {_MAX_SPOOLED_BYTES} bytes; ask without wait_end_of_query."
                raise QueryError(396, "TOO_MANY_ROWS_OR_BYTES", text)
            await self._start(None)
        await self._more(data)

    async def end(self) -> None:
        """All of it is there."""
        if not self._started:
            if self._size <= _HELD_BYTES:
                await self._whole()
                return
            await self._start(None)
        await self._send({"type": "http.response.body", "body": self._packer.finish()})

    async def fail(self, error: QueryError) -> bool:
        """The query has failed: as a status while none is sent, else as ClickHouse marks it, and no proper end.

        Whether the connection ends with it.
        """
        message = error.message(self._engine.version)
        if self._started:
            text = message.encode() + b"\n"
            tag = self._tag.encode()
            mark = b"\r\n__exception__\r\n"
            end = mark + tag + b"\r\n" + text + str(len(text)).encode() + b" " + tag + mark
            await self._more(end, more=self._packer.finish)
            self.abort()
            return True
        self._held.close()
        body = message.encode() + b"\n"
        headers = {"content-type": _TEXT, "content-length": str(len(body))}
        headers["x-clickhouse-exception-code"] = str(error.code)
        if error.status == 503:
            headers["retry-after"] = "1"
        await self._head(error.status, headers)
        await self._send({"type": "http.response.body", "body": body})
        return False

    def abort(self) -> None:
        """End the connection, without the end of an answer."""
        self._held.close()
        self._end_abruptly()

    async def _whole(self) -> None:
        self._held.seek(0)
        content = self._held.read()
        self._held.close()
        body = self._packer.update(content) + self._packer.finish() if content else b""
        if not body:
            self._encoding = ""
        await self._start(len(body))
        await self._send({"type": "http.response.body", "body": body})

    async def _start(self, length: int | None) -> None:
        assert self._job
        self._started = True
        headers = {
            "content-type": content_type(self._job.format),
            "x-clickhouse-format": self._job.format,
            "x-clickhouse-summary": _summary(self._job, self._size),
            "x-clickhouse-exception-tag": self._tag,
        }
        if self._encoding:
            headers["content-encoding"] = self._encoding
        if length is not None:
            headers["content-length"] = str(length)
        await self._head(200, headers)
        if length is None:
            self._held.seek(0)
            while piece := self._held.read(_HELD_BYTES):
                await self._more(piece)
            self._held.close()

    async def _more(self, data: bytes, more: Callable[[], bytes] = lambda: b"") -> None:
        body = self._packer.update(data) + more()
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    async def _head(self, status: int, headers: Mapping[str, str]) -> None:
        every = {
            **headers,
            "x-clickhouse-server-display-name": policy.DISPLAY_NAME,
            "x-clickhouse-query-id": self.query_id,
            "x-clickhouse-timezone": "UTC",
            "x-content-type-options": "nosniff",
        }
        encoded = [(name.encode(), value.encode("latin-1", "replace")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


def _running(seconds: float) -> str:
    """As ClickHouse words it. Rows it had to look at are nobody's business."""
    counts = dict.fromkeys(("read_rows", "read_bytes", "total_rows_to_read", "result_rows", "result_bytes"), "0")
    return json.dumps({**counts, "elapsed_ns": str(int(seconds * 1e9))})


def _summary(job: Job, size: int) -> str:
    """What is known: while the query runs, how much has come of it. Rows it had to look at are nobody's business."""
    counts = job.counts
    rows = str(counts.rows if counts else 0)
    return json.dumps(
        {
            "read_rows": rows,
            "read_bytes": str(counts.bytes if counts else 0),
            "written_rows": "0",
            "written_bytes": "0",
            "total_rows_to_read": "0",
            "result_rows": rows,
            "result_bytes": str(size),
            "elapsed_ns": str(int(counts.seconds * 1e9) if counts else 0),
        }
    )
