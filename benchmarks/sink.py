"""A ClickHouse HTTP endpoint that takes inserts of spans, records and points and drops them: what collectors cost.

    python -m benchmarks.sink --port 8123

Statements and queries run on a real embedded engine, so that migrations and look-ups work; an INSERT into a table
whose name begins with `otel_` is read, counted, and kept in memory as it came. `GET /sink` answers the counts,
`POST /sink/reset` forgets, and `POST /sink/save?directory=D` writes the kept inserts there for `benchmarks.inserted`.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.clickhouse_http import DECODERS, ClickHouseHandler, ClickHouseServer
from benchmarks.processes import until
from tests.support.ports import answers, free_ports

MANIFEST = "manifest.json"
_INSERT = re.compile(
    r"\s*INSERT\s+INTO\s+(?:TABLE\s+)?[\w.`\"]*otel_(?:traces|logs|metrics_\w+)[`\"]?[\s(]", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Insert:
    """One insert as it came. `native_compression` is ClickHouse's own (`decompress=1`), inside of `coding`."""

    query: str
    coding: str
    native_compression: bool
    body: bytes
    received_at: float


class _Handler(ClickHouseHandler):
    server: "Sink"
    _read = b""

    def _answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        values = dict(urllib.parse.parse_qsl(url.query))
        if url.path.startswith("/sink"):
            self._send(200, json.dumps(self.server.control(url.path, values)).encode(), {})
        elif _INSERT.match(values.get("query", "")):
            self._take(values, values["query"], self._raw())
        else:
            self._read = self._raw()
            statement, _, data = self._read.partition(b"\n")  # an insert may have its statement before its data
            if not values.get("query") and _INSERT.match(statement[:4096].decode(errors="replace")):
                self._take(values, statement.decode(), data)
            else:
                super()._answer()

    def _body(self) -> bytes:
        decode = DECODERS.get(self.headers.get("Content-Encoding", "").lower())
        return decode(self._read) if decode else self._read

    def _take(self, values: dict[str, str], statement: str, body: bytes) -> None:
        coding = self.headers.get("Content-Encoding", "")
        self.server.take(Insert(statement, coding, values.get("decompress") == "1", body, time.time()))
        self._send(200, b"", {"X-ClickHouse-Summary": "{}"})

    def _raw(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _authenticate(self) -> None:
        """Everyone is welcome."""


class Sink(ClickHouseServer):
    """The endpoint. Inserts are kept until `reset`."""

    def __init__(self, directory: Path, port: int) -> None:
        super().__init__(str(directory), port, ("", ""))
        self.RequestHandlerClass = _Handler
        self._lock = threading.Lock()
        self._inserts: list[Insert] = []

    def take(self, insert: Insert) -> None:
        with self._lock:
            self._inserts.append(insert)

    def control(self, path: str, values: dict[str, str]) -> dict[str, Any]:
        with self._lock:
            counts = {
                "inserts": len(self._inserts),
                "bytes": sum(len(insert.body) for insert in self._inserts),
                "last": max((insert.received_at for insert in self._inserts), default=0.0),
            }
            if path == "/sink/save":
                _save(self._inserts, Path(values["directory"]))
            if path == "/sink/reset":
                self._inserts.clear()
        return counts


def _save(inserts: list[Insert], directory: Path) -> None:
    entries = []
    for number, insert in enumerate(inserts):
        name = f"{number:06}.insert"
        (directory / name).write_bytes(insert.body)
        entries.append({**asdict(insert), "body": name})
    (directory / MANIFEST).write_text(json.dumps(entries))


class SinkProcess:
    """A sink in a process of its own."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.url = f"http://{self.address}"

    def counts(self) -> dict[str, Any]:
        """`inserts`, `bytes` as sent, and the time (Unix) of the `last`."""
        return self._ask("GET", "")

    def reset(self) -> None:
        self._ask("POST", "/reset")

    def save(self, directory: Path) -> None:
        self._ask("POST", f"/save?{urllib.parse.urlencode({'directory': directory})}")

    def _ask(self, method: str, path: str) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}/sink{path}", method=method)
        with urllib.request.urlopen(request, timeout=120) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


@contextmanager
def sink() -> Iterator[SinkProcess]:
    """A running sink, empty."""
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="spanmeter-sink-") as name:
        command = [sys.executable, "-m", "benchmarks.sink", "--port", str(port), "--directory", name]
        process = subprocess.Popen(command)
        try:
            until(lambda: answers(port), 60, "the sink's start")
            yield SinkProcess(port)
        finally:
            process.terminate()
            process.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--directory", type=Path, help="of the engine that answers queries; a new one when not set")
    options = parser.parse_args()
    directory = options.directory or Path(tempfile.mkdtemp(prefix="spanmeter-sink-"))
    server = Sink(directory, options.port)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server.serve_forever()


if __name__ == "__main__":
    main()
