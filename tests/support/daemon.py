"""The real daemon as a process of its own, and what it stored, read back over its own API."""

import contextlib
import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

import psutil

from tests.support.engine import migrated_store
from tests.support.memory import Growth, growth_of
from tests.support.nursery import nursery
from tests.support.ports import answers, free_ports
from tests.support.waiting import wait_until

_ENDPOINTS = {
    "grpc": "receivers.otlp.protocols.grpc.endpoint",
    "http": "receivers.otlp.protocols.http.endpoint",
    "web": "web.endpoint",
    "query": "query.endpoint",
}
_READ_SECONDS = 30


class Process(Protocol):
    """What `Daemon` needs of a process: `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


class Daemon:
    """One data directory, and any number of processes on it, one after the other.

    With `keeps_ports` each of them has the same ports, which are known before the first one starts. `launch` starts
    a process; by default `spanmeter serve`, forked from the nursery.
    """

    def __init__(
        self,
        directory: Path,
        *settings: str,
        config: Path | None = None,
        token: str = "",
        keeps_ports: bool = False,
        launch: "Callable[[Daemon], Process] | None" = None,
    ) -> None:
        self.directory = directory
        self.config = config
        self.token = token
        self._ports = dict(zip(_ENDPOINTS, free_ports(len(_ENDPOINTS)), strict=True)) if keeps_ports else {}
        self.settings = [f"{setting}=127.0.0.1:{self._ports.get(name, 0)}" for name, setting in _ENDPOINTS.items()]
        self.settings += settings
        self.log_file = directory.with_name(f"{directory.name}.log")
        self._launch = launch or _forked
        self._process: Process | None = None

    # -- processes ----------------------------------------------------------------------------------------------------

    def command(self) -> list[str]:
        return [sys.executable, "-m", "collector", "serve", *self.arguments()]

    def arguments(self) -> list[str]:
        """What follows `spanmeter serve`."""
        config = ["--config", str(self.config)] if self.config else []
        options = [part for setting in self.settings for part in ("--set", setting)]
        return ["--data-dir", str(self.directory), *config, *options]

    def start(self) -> None:
        self._ports_file.unlink(missing_ok=True)
        if not self.directory.exists():
            migrated_store(self.directory / "store")
        self._process = self._launch(self)

    @property
    def process(self) -> Process:
        assert self._process, "the daemon has not been started"
        return self._process

    def wait_for_ports(self, seconds: float = 30) -> None:
        wait_until(lambda: self._alive() and self._listens(), seconds, "answering ports")

    def wait_until_ready(self, seconds: float = 60) -> None:
        wait_until(lambda: self._alive() and self.is_ready(), seconds, "readiness")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> int:
        """SIGKILL; the exit code, negative for the signal that was the end's cause."""
        self.signal(signal.SIGKILL)
        return self.process.wait()

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def _alive(self) -> bool:
        assert self.process.poll() is None, f"the daemon ended by itself:\n{self.log_tail()}"
        return True

    # -- ports --------------------------------------------------------------------------------------------------------

    @property
    def ports(self) -> dict[str, int]:
        """By `grpc`, `http`, `web` and `query`. Without `keeps_ports` they are known once the daemon listens."""
        if self._ports:
            return self._ports
        ports: dict[str, int] = json.loads(self._ports_file.read_text())
        return ports

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.ports['grpc']}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.ports['web']}"

    @property
    def _ports_file(self) -> Path:
        return self.directory / "ports.json"

    def _listens(self) -> bool:
        with contextlib.suppress(OSError, json.JSONDecodeError):
            return answers(self.ports["grpc"]) and answers(self.ports["http"])
        return False

    # -- the web port -------------------------------------------------------------------------------------------------

    def is_ready(self) -> bool:
        with contextlib.suppress(OSError, HTTPException, json.JSONDecodeError):
            return self.get("/readyz")[0] == 200
        return False

    def get(self, path: str, token: str | None = None) -> tuple[int, bytes]:
        """Status and body. Raises OSError or HTTPException where nothing answers."""
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

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 before the first one."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        samples = (line.rpartition(" ") for line in self.get("/metrics")[1].decode().splitlines())
        return sum(
            float(value)
            for head, _, value in samples
            if head.partition("{")[0] == name and all(label in head for label in wanted)
        )

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

        wait_until(stored, _READ_SECONDS, f"a trace {wanted} of {spans} spans")
        assert len(found) == spans
        return [_with_content(span) for span in found]

    def cpu_seconds(self) -> float:
        """What the process has used so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def growth(self) -> contextlib.AbstractContextManager[Growth]:
        """How much resident memory the daemon and its receiver processes gain at most while the block runs."""
        return growth_of(self.process.pid)


def _forked(daemon: Daemon) -> Process:
    return nursery().start(daemon.arguments(), daemon.log_file)


def _with_content(span: dict[str, Any]) -> dict[str, Any]:
    """The span as it was sent: enrichment moves input and output out of the attributes and notes their keys."""
    moved = {span[f"{side}Key"]: span[side] for side in ("Input", "Output") if span[side]}
    return {**span, "SpanAttributes": {**moved, **span["SpanAttributes"]}}


@contextlib.contextmanager
def running(
    directory: Path, settings: Sequence[str] = (), config: Path | None = None, token: str = ""
) -> Iterator[Daemon]:
    """A daemon that is ready, and that must end in an orderly way."""
    daemon = Daemon(directory, "spool.flush_interval=100ms", *settings, config=config, token=token)
    daemon.start()
    try:
        daemon.wait_until_ready()
        yield daemon
    finally:
        code = daemon.stop()
    assert code == 0, daemon.log()
