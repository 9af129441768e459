"""The real daemon as a subprocess, and what it stored, read back over its own API."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.support.daemon import wait_until

START_SECONDS = 60
READ_SECONDS = 30
MIB = 1024 * 1024

_ANY_PORTS = (
    "receivers.otlp.protocols.grpc.endpoint=127.0.0.1:0",
    "receivers.otlp.protocols.http.endpoint=127.0.0.1:0",
    "web.endpoint=127.0.0.1:0",
    "spool.flush_interval=100ms",
)


class Daemon:
    """One `python -m collector serve` on a directory of its own."""

    def __init__(
        self, directory: Path, settings: Sequence[str] = (), config: Path | None = None, token: str = ""
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.token = token
        command = [sys.executable, "-m", "collector", "serve", "--data-dir", str(directory)]
        if config:
            command += ["--config", str(config)]
        for override in (*_ANY_PORTS, *settings):
            command += ["--set", override]
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.ports = self._ports()
            wait_until(self._ready, START_SECONDS, "readiness")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ports['grpc']}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    def stop(self) -> None:
        """End it in an orderly way; it must stop by itself and with exit code 0."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(START_SECONDS) == 0, self.log()
        finally:
            self.process.kill()
            self.process.wait()

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def get(self, path: str, token: str | None = None) -> tuple[int, bytes]:
        request = urllib.request.Request(self.web + path)
        credentials = self.token if token is None else token
        if credentials:
            request.add_header("Authorization", f"Bearer {credentials}")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def trace(self, trace_id: bytes | str, spans: int = 1, token: str | None = None) -> list[dict[str, Any]]:
        """The stored spans of a trace, once there are `spans` of them, with their content among the attributes."""
        wanted = trace_id if isinstance(trace_id, str) else trace_id.hex()
        found: list[dict[str, Any]] = []

        def stored() -> bool:
            nonlocal found
            status, body = self.get(f"/api/v1/traces/{wanted}", token)
            assert status in (200, 404), (status, body)
            found = json.loads(body)["spans"] if status == 200 else []
            return len(found) >= spans

        wait_until(stored, READ_SECONDS, f"a trace {wanted} of {spans} spans")
        assert len(found) == spans
        return [_with_content(span) for span in found]

    def metric(self, name: str, **labels: str) -> float:
        """The value of one metric; 0 before its first sample."""
        _, text = self.get("/metrics")
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in text.decode().splitlines():
            head, _, value = line.rpartition(" ")
            if head.partition("{")[0] == name and all(label in head for label in wanted):
                return float(value)
        return 0.0

    @contextlib.contextmanager
    def growth(self) -> "Iterator[Growth]":
        """How much resident memory the daemon gains at most while the block runs."""
        process = psutil.Process(self.process.pid)
        result = Growth(process.memory_info().rss)
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.005):
                result.peak = max(result.peak, process.memory_info().rss)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield result
        finally:
            stop.set()
            thread.join()

    def _ports(self) -> dict[str, int]:
        path = self.directory / "ports.json"

        def written() -> bool:
            assert self.process.poll() is None, self.log()
            return path.is_file() and path.stat().st_size > 0

        wait_until(written, START_SECONDS, "ports.json")
        ports: dict[str, int] = json.loads(path.read_text())
        return ports

    def _ready(self) -> bool:
        with contextlib.suppress(OSError):
            return b"spanmeter_store_ready 1.0" in self.get("/metrics")[1]
        return False


def _with_content(span: dict[str, Any]) -> dict[str, Any]:
    """The span as it was sent: enrichment moves input and output out of the attributes and notes their keys."""
    moved = {span[f"{side}Key"]: span[side] for side in ("Input", "Output") if span[side]}
    return {**span, "SpanAttributes": {**moved, **span["SpanAttributes"]}}


class Growth:
    """Resident memory at the start of a block and its peak since."""

    def __init__(self, base: int) -> None:
        self.base = self.peak = base

    @property
    def mib(self) -> float:
        return (self.peak - self.base) / MIB


@contextlib.contextmanager
def running(
    directory: Path, settings: Sequence[str] = (), config: Path | None = None, token: str = ""
) -> Iterator[Daemon]:
    daemon = Daemon(directory, settings, config, token)
    try:
        yield daemon
    finally:
        daemon.stop()
