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
    """What is sent, and over how many connections. `transport` is grpc, http (protobuf) or json (over HTTP)."""

    transport: str = "grpc"
    spans: int = 512
    content_bytes: int = _USUAL_BYTES
    connections: int = 4
    in_flight: int = 1
    gzip: bool = False

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
        ]


class Sender:
    """A sender whose requests are prepared and whose connections are open."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, on_progress: Callable[[Figures], None] | None = None) -> Figures:
        """Send; what the sender measured. Raises RuntimeError when a request failed or the sender did."""
        self.start()
        return self.finish(on_progress)

    def start(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def finish(self, on_progress: Callable[[Figures], None] | None = None) -> Figures:
        """What the sender measured, once every request is answered. Raises RuntimeError like `run`."""
        for line in self.lines():
            if line["event"] == "done":
                if line["failures"]:
                    raise RuntimeError(f"requests failed: {line['failures']}")
                return line
            if on_progress:
                on_progress(line)
        raise RuntimeError(f"the sender ended early, exit code {self._process.wait()}")

    def lines(self) -> Iterator[Figures]:
        assert self._process.stdout
        for text in self._process.stdout:
            yield json.loads(text)


@contextmanager
def sender(shape: Shape, address: str, *options: str) -> Iterator[Sender]:
    """A sender ready to start. `options` are those of `benchmarks.sender`."""
    command = [sys.executable, "-m", "benchmarks.sender", "--address", address, *shape.arguments(), *options]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    prepared = Sender(process)
    try:
        next(prepared.lines(), None)
        yield prepared
    finally:
        process.kill()
        process.communicate()
