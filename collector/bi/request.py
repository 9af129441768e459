"""What a client of ClickHouse's HTTP interface asks: query, parameters, settings, and how the answer is to come."""

import re
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final

import lz4.frame

from collector.bi.blocks import unpack_blocks
from collector.bi.errors import QueryError, syntax_error
from collector.errors import Reason, Rejected
from collector.receive.inflate import inflate, known

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

# What the interface itself understands; everything else in the URL is a setting.
_TRANSPORT: Final = frozenset(
    {
        "add_http_cors_header", "buffer_size", "client_protocol_version", "close_session", "compress", "database",
        "decompress", "default_format", "enable_http_compression", "http_compression_method", "password", "query",
        "query_id", "quota_key", "role", "session_check", "session_id", "session_timeout", "stacktrace", "user",
        "wait_end_of_query", "output_format", "client_name",
    }
)  # fmt: skip
_PARAM = "param_"
_MAX_FIELDS = 500
# Of forms (multipart/form-data): what parts them, and the name of a part in its head.
_BOUNDARY = re.compile(r"\bboundary=(?:\"([^\"]{1,200})\"|([^\s;,\"]{1,200}))", re.IGNORECASE)
_MAX_HEAD_BYTES = 1024
_FIELD = re.compile(
    rb"content-disposition:[ \t]*form-data;[^\r\n]*?\bname=(?:\"([^\"\r\n]*)\"|([^\s;\"]+))", re.IGNORECASE
)
_MIN_PROGRESS_SECONDS = 0.1
_MAX_DIGITS = 10
# The statement that rows follow, and how long it is at most.
_INSERT = re.compile(rb"\s*INSERT\s+INTO\s[^;]*?\sFORMAT\s+\w+[ \t]*\r?\n", re.IGNORECASE)
_MAX_INSERT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Names of headers are in lower case; `rows` are those that follow an INSERT."""

    query: str
    url: Mapping[str, str]
    headers: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    rows: bytes = b""

    @property
    def query_id(self) -> str:
        """As the client gave it, as far as a header may hold it."""
        given = self.url.get("query_id") or self.headers.get("x-clickhouse-query-id", "")
        return "".join(character for character in given if " " <= character <= "~")[:200] or secrets.token_hex(16)

    @property
    def database(self) -> str:
        return self.url.get("database") or self.headers.get("x-clickhouse-database", "")

    def format(self, named: str | None) -> str:
        """The format of the answer to a statement that names `named` itself."""
        asked = self.headers.get("x-clickhouse-format") or self.url.get("default_format")
        return named or asked or "TabSeparated"

    @property
    def waits_for_end(self) -> bool:
        return self.url.get("wait_end_of_query", "0") in ("1", "true")

    @property
    def progress_seconds(self) -> float:
        """How often a header is to say, before the answer, that the query runs; 0 is never."""
        if self.url.get("send_progress_in_http_headers", "0") not in ("1", "true"):
            return 0.0
        given = self.url.get("http_headers_progress_interval_ms", "")
        return max(_MIN_PROGRESS_SECONDS, int(given) / 1000 if given.isdecimal() and len(given) < _MAX_DIGITS else 0.0)


def head_of(scope: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The parameters of the URL, of each the last value, and the headers."""
    text = scope["query_string"].decode("latin-1")
    try:
        pairs = urllib.parse.parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise QueryError(36, "BAD_ARGUMENTS", "The URL is no UTF-8, or has too many parameters.") from None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return dict(pairs), headers


async def read_request(
    method: str, url: dict[str, str], headers: dict[str, str], receive: Receive, limit: int, *, writes: bool = False
) -> Asked:
    """Read the body, at most `limit` bytes of it unpacked; `writes` has rows after an INSERT. Raises QueryError."""
    body = await _body(receive, limit)
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding and body:
        body = _unpacked(body, encoding, limit)
    if url.get("decompress", "0") in ("1", "true") and body:
        body = unpack_blocks(body, limit)
    fields: dict[str, str] = {}
    kind = headers.get("content-type", "")
    if method == "POST" and kind.lower().startswith("multipart/form-data"):
        fields = dict(_multipart(body, kind))
        body = fields.pop("query", "").encode()
    values = {**url, **fields}
    settings = {name: value for name, value in values.items() if name not in _TRANSPORT and _is_setting(name)}
    parameters = {name.removeprefix(_PARAM): value for name, value in values.items() if name.startswith(_PARAM)}
    statement = b"\n".join(part for part in (url.get("query", "").encode(), body) if part)
    statement, rows = _insert_and_rows(statement) if writes else (statement, b"")
    query = _text(statement)
    if len(query) + sum(map(len, parameters.values())) > limit:
        raise _too_large(limit)
    return Asked(query, values, headers, parameters, settings, rows)


def _insert_and_rows(statement: bytes) -> tuple[bytes, bytes]:
    insert = _INSERT.match(statement, 0, _MAX_INSERT_BYTES)
    return (statement[: insert.end()], statement[insert.end() :]) if insert else (statement, b"")


def _is_setting(name: str) -> bool:
    if name.endswith(("_structure", "_types", "_format")) and not name.startswith(("output_", "input_", "date_time_")):
        raise QueryError(48, "NOT_IMPLEMENTED", f"External tables are not answered ({name[:80]}).")
    return not name.startswith(_PARAM)


async def _body(receive: Receive, limit: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("The client has gone.")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(chunks)


def _unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding == "lz4":
        return _of_lz4(body, limit)
    if not known(encoding):
        raise QueryError(48, "NOT_IMPLEMENTED", f"The Content-Encoding {encoding[:40]} is not known.", 400)
    try:
        return inflate(body, encoding, limit)
    except Rejected as error:
        if error.reason is Reason.TOO_LARGE:
            raise _too_large(limit) from None
        raise QueryError(36, "BAD_ARGUMENTS", f"The body is no {encoding}.") from None


def _of_lz4(body: bytes, limit: int) -> bytes:
    stream = lz4.frame.LZ4FrameDecompressor()
    try:
        unpacked: bytes = stream.decompress(body, limit + 1)
    except (RuntimeError, EOFError):
        raise QueryError(36, "BAD_ARGUMENTS", "The body is no lz4.") from None
    if len(unpacked) > limit:
        raise _too_large(limit)
    if not stream.eof:
        raise QueryError(36, "BAD_ARGUMENTS", "The lz4 body ends too early.")
    return unpacked


def _too_large(limit: int) -> QueryError:
    return QueryError(229, "QUERY_IS_TOO_LARGE", f"The query has more than {limit} bytes.")


def _multipart(body: bytes, content_type: str) -> Iterator[tuple[str, str]]:
    """The fields of a form, read in one pass: a parser of mail would follow parts within parts."""
    found = _BOUNDARY.search(content_type)
    if not found:
        raise QueryError(36, "BAD_ARGUMENTS", "The form names no boundary.")
    boundary = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    _, *parts = (b"\r\n" + body).split(boundary, _MAX_FIELDS + 1)
    for part in parts[:_MAX_FIELDS]:
        if part.startswith(b"--"):
            return
        head, _, content = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head, 0, _MAX_HEAD_BYTES)
        if not name:
            raise QueryError(36, "BAD_ARGUMENTS", "A part of the form has no name.")
        yield _text(name[1] or name[2]), _text(content)
    raise QueryError(36, "BAD_ARGUMENTS", f"The form has no end, or more than {_MAX_FIELDS} fields.")


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise syntax_error("the query is no UTF-8.") from None
