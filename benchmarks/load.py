"""Runs `benchmarks.sender` and reads what it reports."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]
_USUAL_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Shape:
    """What is sent, and over how many connections. `transport` is grpc, http (protobuf) or json (over HTTP).

    Spans are of so many `traces`, which grow with every request; 0 is new traces in each.
    """

    transport: str = "grpc"
    spans: int = 512
    content_bytes: int = _USUAL_BYTES
    connections: int = 4
    in_flight: int = 1
    gzip: bool = False
    traces: int = 0

    @property
    def name(self) -> str:
        kilobytes = (self.content_bytes + 600) / 1000
        concurrency = f"{self.connections}x{self.in_flight}" if self.transport == "grpc" else f"{self.connections}"
        size = f" {kilobytes:.0f} KB" if self.content_bytes != _USUAL_BYTES else ""
        return f"{self.transport} {self.spans}{size}{' gzip' if self.gzip else ''} ({concurrency})"

    def arguments(self) -> list[str]:
        return [
            *("--transport", self.transport),
            *("--spans", str(self.spans)),
            *("--content-bytes", str(self.content_bytes)),
            *("--connections", str(self.connections)),
            *("--in-flight", str(self.in_flight)),
            *(["--gzip"] if self.gzip else []),
            *("--traces", str(self.traces)),
        ]


class Sender:
    """A sender with prepared requests."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._expect("ready")

    def open(self, address: str, requests: int = 0) -> None:
        """Open the connections of a run of `requests`; 0 is as many as the sender's `--seconds` give time for."""
        self._write(f"{address} {requests}\n")
        self._expect("open")

    def start(self) -> None:
        self._write("\n")

    def finish(
        self, on_progress: Callable[[Figures], None] | None = None, *, failures_allowed: bool = False
    ) -> Figures:
        """What the sender measured, once every request is answered. Raises RuntimeError when one failed."""
        while (line := self._read())["event"] != "done":
            if on_progress:
                on_progress(line)
        if line["failures"] and not failures_allowed:
            raise RuntimeError(f"requests failed: {line['failures']}")
        return line

    def _expect(self, event: str) -> None:
        line = self._read()
        assert line["event"] == event, line

    def _read(self) -> Figures:
        assert self._process.stdout
        text = self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"the sender ended early, exit code {self._process.wait()}")
        line: Figures = json.loads(text)
        return line

    def _write(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()


@contextmanager
def sender(shape: Shape, *options: str) -> Iterator[Sender]:
    """A sender of requests of that shape. `options` are those of `benchmarks.sender`."""
    command = [sys.executable, "-m", "benchmarks.sender", *shape.arguments(), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Sender(process)
    finally:
        process.kill()
        process.communicate()
