"""The real daemon as a process of its own, to be killed and started again on the same ports."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

# Test processes that run beside each other (pytest-xdist) take their ports from different sets.
_THIS_PROCESS = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_ports(count: int) -> list[int]:
    """Ports outside the ephemeral range: nothing else takes them while the daemon is down."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000 + _THIS_PROCESS, 30_000, _PROCESSES)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll `condition`; fails the test when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something listens on `port`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class DaemonProcess:
    """One data directory, one set of ports, any number of processes one after the other."""

    def __init__(self, directory: Path, *settings: str) -> None:
        self.directory = directory
        self.grpc, self.http, self.web = free_ports(3)
        self.settings = [
            f"receivers.otlp.protocols.grpc.endpoint=127.0.0.1:{self.grpc}",
            f"receivers.otlp.protocols.http.endpoint=127.0.0.1:{self.http}",
            f"web.endpoint=127.0.0.1:{self.web}",
            *settings,
        ]
        self.log = directory.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        options = [part for setting in self.settings for part in ("--set", setting)]
        return [sys.executable, "-m", "collector", "serve", "--data-dir", str(self.directory), *options]

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process, "the daemon has not been started"
        return self._process

    def wait_for_ports(self, seconds: float = 30) -> None:
        wait_until(lambda: self._alive() and answers(self.grpc) and answers(self.http), seconds, "answering ports")

    def wait_until_ready(self, seconds: float = 60) -> None:
        wait_until(lambda: self._alive() and self._ready(), seconds, "readiness")

    def _alive(self) -> bool:
        assert self.process.poll() is None, f"the daemon ended by itself:\n{self.log_tail()}"
        return True

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/readyz", timeout=5):
                return True
        except OSError:
            return False

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}/metrics", timeout=5) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float = 60) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            self.process.wait()

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""


def stored_by_trace(store: Path, database: str = "otel") -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """What an engine's directory holds, read by a fresh process while nothing else has it open.

    By trace id: rows, rows under FINAL, and distinct spans.
    """
    script = (
        "import json, sys, clickhouse_connect\n"
        "client = clickhouse_connect.get_client(interface='chdb', path=sys.argv[1])\n"
        "ask = lambda sql: dict(client.query(sql).result_rows)\n"
        "table = sys.argv[2] + '.otel_traces'\n"
        "print(json.dumps([ask(f'SELECT TraceId, count() FROM {table} GROUP BY TraceId'),\n"
        "    ask(f'SELECT TraceId, count() FROM {table} FINAL GROUP BY TraceId'),\n"
        "    ask(f'SELECT TraceId, uniqExact(SpanId) FROM {table} GROUP BY TraceId')]))\n"
    )
    rows, final, distinct = json.loads(_in_fresh_process(script, str(store), database))
    return rows, final, distinct


def prepare_store(store: Path) -> None:
    """Make the tables a daemon would, and let no merge hide a duplicate: what is inserted stays as it is."""
    script = (
        "import sys, pathlib\n"
        "from collector.config import StoreConfig\n"
        "from collector.store import migrate, open_store\n"
        "config = StoreConfig(url=f'chdb://{sys.argv[1]}')\n"
        "store = open_store(config, pathlib.Path())\n"
        "migrate(store, int(config.ttl))\n"
        "store.command('ALTER TABLE otel_traces MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1')\n"
        "store.close()\n"
    )
    _in_fresh_process(script, str(store))


def _in_fresh_process(script: str, *arguments: str) -> bytes:
    """What `script` prints: the embedded engine opens one directory a process."""
    command = [sys.executable, "-c", script, *arguments]
    result = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout
