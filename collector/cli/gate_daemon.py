"""A daemon for the time of a gate: on free ports of loopback, in a directory of its own."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.cli.daemon import ask, download
from collector.errors import Rejected, StartError, Unavailable
from collector.files import read_ports

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.2
_PR_SET_PDEATHSIG: Final = 1
_PAGE: Final = 1000
BATCH_ATTRIBUTE: Final = "spanmeter.gate.batch"
# Where exporters would send instead, and as whom.
_OTHER_TARGETS: Final = tuple(
    f"OTEL_EXPORTER_OTLP_{kind}{name}"
    for kind in ("", "TRACES_", "METRICS_", "LOGS_")
    for name in ("ENDPOINT", "HEADERS", "PROTOCOL", "CERTIFICATE", "INSECURE", "CLIENT_KEY", "CLIENT_CERTIFICATE")
)


@dataclass(frozen=True, slots=True)
class GateDaemon:
    """A daemon that runs: its web address and its OTLP/HTTP address."""

    web: str
    otlp: str
    process: "subprocess.Popen[bytes]"

    def environment(self, batch: str, given: Mapping[str, str]) -> dict[str, str]:
        """`given`, with the variables by which exporters find the daemon."""
        kept = {name: value for name, value in given.items() if name not in _OTHER_TARGETS}
        attributes = ",".join(filter(None, (kept.get("OTEL_RESOURCE_ATTRIBUTES"), f"{BATCH_ATTRIBUTE}={batch}")))
        return kept | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_BSP_SCHEDULE_DELAY": "500",
            "OTEL_RESOURCE_ATTRIBUTES": attributes,
            "SPANMETER_GATE_BATCH": batch,
        }

    def runs(self) -> dict[str, tuple[int, str]]:
        """Of each run how many spans it has, and when the last arrived."""
        return runs_at(self.web, f"since=2020-01-01T00:00:00Z&folded=true&limit={_PAGE}")

    def settled(self, quiet: float, patience: float, expected: int) -> list[str]:
        """Ids of the runs, once none has changed for `quiet` seconds and the spool is empty, or patience has ended.

        Until `expected` runs are there, it is waited as long as patience lasts.
        """
        before: dict[str, tuple[int, str]] = {}
        end, since = time.monotonic() + patience, time.monotonic()
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise StartError(f"The gate's daemon ended with exit code {self.process.returncode}.")
            now = self.runs()
            if now != before or not self._drained():
                before, since = now, time.monotonic()
            elif time.monotonic() - since >= quiet and len(now) >= max(1, expected):
                break
            time.sleep(_POLL_SECONDS)
        return sorted(before)

    def _drained(self) -> bool:
        lines = download(self.web, "/metrics").decode().splitlines()
        waiting = [line.rpartition(" ")[2] for line in lines if line.startswith("spanmeter_spool_bytes")]
        return all(float(value) == 0 for value in waiting)

    def rows(self, trace_id: str) -> bytes:
        """All rows of a run, as an Arrow stream."""
        return rows_at(self.web, trace_id)


def runs_at(url: str, query: str) -> dict[str, tuple[int, str]]:
    """Of each run that a question to a daemon finds how many spans it has, and when the last arrived."""
    found: dict[str, tuple[int, str]] = {}
    after = ""
    while True:
        page = ask(url, f"/api/v1/runs?{query}{after}")
        found |= {run["trace_id"]: (run["spans"], run["received_at"]) for run in page["runs"]}
        if not page["next"]:
            return found
        after = f"&after={page['next']}"


def rows_at(url: str, trace_id: str) -> bytes:
    """All rows of a run that a daemon has, as an Arrow stream."""
    return download(url, f"/api/v1/runs/{trace_id}/export?format=arrow")


@contextmanager
def gate_daemon(directory: Path, settings: Sequence[str] = ()) -> Iterator[GateDaemon]:
    """A daemon on `directory`, while the block runs. Raises StartError."""
    command = [sys.executable, "-m", "collector", "serve", "--data-dir", str(directory)]
    fixed = ["telemetry.log_level=warning", "query.enabled=false", "spool.flush_interval=200ms", "auth.tokens=[]"]
    ports = ["receivers.otlp.protocols.grpc.endpoint", "receivers.otlp.protocols.http.endpoint", "web.endpoint"]
    for setting in (*settings, *fixed, *(f"{port}=127.0.0.1:0" for port in ports)):
        command += ["--set", setting]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SPANMETER_")}
    process = subprocess.Popen(  # noqa: S603 - our own command
        command,
        env=ours,
        stdin=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - one thread
    )
    try:
        found = _ports(process, directory)
        yield GateDaemon(f"http://127.0.0.1:{found['web']}", f"http://127.0.0.1:{found['http']}", process)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    """Have a gate that is killed leave no daemon behind, where the system can do that (Linux)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _ports(process: "subprocess.Popen[bytes]", directory: Path) -> dict[str, int]:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise StartError(f"The gate's daemon did not start; it ended with exit code {process.returncode}.")
        try:
            ports = read_ports(directory)
            ask(f"http://127.0.0.1:{ports['web']}", "/readyz")
        except (OSError, ValueError, Rejected, Unavailable):
            time.sleep(_POLL_SECONDS)
        else:
            return ports
    raise StartError(f"The gate's daemon did not start within {_START_SECONDS:g} s.")
