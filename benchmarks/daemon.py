"""A spanmeter under measurement: started on free ports, its process tree watched from outside."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import Tree

_ENDPOINTS = (
    "receivers.otlp.protocols.grpc.endpoint",
    "receivers.otlp.protocols.http.endpoint",
    "web.endpoint",
    "query.endpoint",
)


class Measured:
    """A running daemon and what its process tree has used."""

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self.directory = directory
        self.tree = Tree(process.pid)
        ports = json.loads((directory / "ports.json").read_text())
        self.grpc = f"127.0.0.1:{ports['grpc']}"
        self.http = f"http://127.0.0.1:{ports['http']}"
        self.web = f"http://127.0.0.1:{ports['web']}"
        self.query = f"127.0.0.1:{ports['query']}" if "query" in ports else ""  # only of an embedded store

    def cpu_seconds(self) -> float:
        """User and system time of the tree so far."""
        return self.tree.cpu_seconds()

    def rss_mib(self) -> float:
        """Resident memory of the tree now."""
        return self.tree.rss_mib()

    def address(self, transport: str) -> str:
        """host:port of a transport of `benchmarks.sender`."""
        return self.grpc if transport == "grpc" else self.http.removeprefix("http://")

    def metric(self, name: str) -> float:
        """The sum over labels of one metric."""
        return self.metrics()[name]

    def metrics(self) -> Mapping[str, float]:
        """Every metric, summed over its labels; 0 for one that has none yet."""
        with urllib.request.urlopen(f"{self.web}/metrics", timeout=30) as response:
            lines = response.read().decode().splitlines()
        found: dict[str, float] = defaultdict(float)
        for line in lines:
            if not line.startswith("#"):
                found[line.split("{")[0].split(" ")[0]] += float(line.rpartition(" ")[2])
        return found

    def wait_until_stored(self, spans: int, seconds: float = 300.0) -> float:
        """Wait until `spans` spans are stored in all; how long it took."""
        started = time.monotonic()
        while self.metric("spanmeter_drain_stored_spans_total") < spans:
            if time.monotonic() - started > seconds:
                raise TimeoutError(f"fewer than {spans} spans stored after {seconds} s")
            time.sleep(0.1)
        return time.monotonic() - started


@contextmanager
def daemon(settings: Sequence[str] = (), *, ready: bool = True, directory: Path | None = None) -> Iterator[Measured]:
    """A daemon, stopped afterwards; `ready` waits for its store too.

    Its data directory is `directory`, or else a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="spanmeter-bench-") as name:
        place = directory or Path(name)
        command = [sys.executable, "-m", "collector", "serve", "--data-dir", str(place)]
        for setting in (
            *(f"{endpoint}=127.0.0.1:0" for endpoint in _ENDPOINTS),
            "telemetry.log_level=error",
            *settings,
        ):
            command += ["--set", setting]
        process = subprocess.Popen(command)
        try:
            yield _started(process, place, "readyz" if ready else "healthz")
        finally:
            process.terminate()
            process.wait(60)


def _started(process: "subprocess.Popen[bytes]", directory: Path, probe: str) -> Measured:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the daemon ended with exit code {process.returncode}")
        try:
            measured = Measured(process, directory)
            with urllib.request.urlopen(f"{measured.web}/{probe}", timeout=5):
                return measured
        except (OSError, ValueError, urllib.error.HTTPError):
            time.sleep(0.1)
    raise TimeoutError("the daemon did not become ready")
