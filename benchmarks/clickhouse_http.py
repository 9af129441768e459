"""ClickHouse's HTTP interface in front of the chDB engine, as little of it as collectors ask a sink for.

Statements in the URL or the body, settings and `param_` values in the URL, inserts with a body in any format,
compressed or not, Basic authentication, and errors as ClickHouse sends them.
"""

import base64
import gzip
import json
import re
import tempfile
import urllib.parse
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import chdb
import lz4.frame

from collector.net.zstd import zstd

# What the HTTP interface itself understands; everything else in the URL is a setting of the query.
_TRANSPORT = frozenset(
    {
        "query",
        "database",
        "user",
        "password",
        "query_id",
        "session_id",
        "session_timeout",
        "session_check",
        "quota_key",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "default_format",
        "client_protocol_version",
        "role",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
    }
)
DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
}
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s+[^;]*?)\s+FORMAT\s+(\w+)[ \t]*\r?\n", re.IGNORECASE)
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_RESULT = re.compile(rb"\s*(?:SELECT|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN|WITH)\b", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\.")
_NOT_FOUND = {60, 81}
_AUTHENTICATION_FAILED = 516


class _Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ClickHouseHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "ClickHouseServer"

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        """Say nothing of requests."""

    def _answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        values = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = self._body()  # read in any case: the connection stays in use
        if url.path == "/ping":
            self._send(200, b"Ok.\n", {})
            return
        try:
            self._authenticate()
            data, headers = self._run(values, body)
        except _Refused as error:
            self._fail(error.code, str(error))
        except RuntimeError as error:  # what chDB raises
            found = _CODE.search(str(error))
            self._fail(int(found[1]) if found else 1001, str(error))
        else:
            self._send(200, data, headers)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            raw = b"".join(parts)
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        decode = DECODERS.get(self.headers.get("Content-Encoding", "").lower())
        return decode(raw) if decode else raw

    def _authenticate(self) -> None:
        scheme, _, encoded = self.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(encoded).decode().partition(":") if scheme == "Basic" else ("", "", "")
        if (user, password) != self.server.credentials:
            raise _Refused(
                _AUTHENTICATION_FAILED,
                f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user "
                "with such name. (AUTHENTICATION_FAILED)",
            )

    def _run(self, values: dict[str, str], body: bytes) -> tuple[bytes, dict[str, str]]:
        query = values.get("query", "").encode()
        statement = query + b"\n" + body if query and body else query or body
        parameters = {key[6:]: value for key, value in values.items() if key.startswith("param_")}
        settings = {k: v for k, v in values.items() if k not in _TRANSPORT and not k.startswith("param_")}
        connection = chdb.connect(self.server.path)
        try:
            if values.get("database"):
                connection.query(f"USE `{values['database']}`")
            for name, value in settings.items():
                connection.query(f"SET {_identifier(name)} = {_literal(value)}")
            return self._execute(connection, statement, parameters)
        finally:
            connection.close()

    def _execute(self, connection: Any, statement: bytes, parameters: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        insert = _INSERT.match(statement[:65536])
        if insert:
            with tempfile.NamedTemporaryFile(suffix=".insert") as file:
                file.write(statement[insert.end() :])
                file.flush()
                head, form = insert[1].decode(), insert[2].decode()
                result = connection.query(f"{head} FROM INFILE {_literal(file.name)} FORMAT {form}")
            summary = {"written_rows": str(result.rows_read()), "written_bytes": str(result.bytes_read())}
            return b"", {"X-ClickHouse-Summary": json.dumps(summary)}
        result = connection.query(statement.decode(), "TabSeparated", params=parameters)
        headers = {"X-ClickHouse-Summary": json.dumps({"read_rows": str(result.rows_read())})}
        named = _FORMAT.search(statement)
        if named or _RESULT.match(statement):
            headers["X-ClickHouse-Format"] = named[1].decode() if named else "TabSeparated"
        return result.bytes() or b"", headers

    def _fail(self, code: int, message: str) -> None:
        status = 403 if code == _AUTHENTICATION_FAILED else 404 if code in _NOT_FOUND else 500
        body = f"{message} (version 26.9.0.0)\n".encode()
        self._send(status, body, {"X-ClickHouse-Exception-Code": str(code), "X-ClickHouse-Format": "TabSeparated"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Timezone": "UTC", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ClickHouseServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, path: str, port: int, credentials: tuple[str, str]) -> None:
        super().__init__(("127.0.0.1", port), ClickHouseHandler)
        self.path = path
        self.credentials = credentials
        self.engine = chdb.connect(path)  # keeps the engine running between requests


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise _Refused(115, f"Code: 115. DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)")
    return name


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
