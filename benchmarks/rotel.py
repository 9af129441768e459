"""Rotel, an OpenTelemetry collector written in Rust, as its PyPI package ships it."""

import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import Tree, until
from tests.support.ports import answers, free_ports


class Rotel:
    """A running agent: OTLP in, ClickHouse's RowBinary out. It acknowledges what it holds in memory."""

    def __init__(self, pid: int, grpc: int, http: int) -> None:
        self.tree = Tree(pid)
        self.grpc = f"127.0.0.1:{grpc}"
        self.http = f"127.0.0.1:{http}"

    def address(self, transport: str) -> str:
        """host:port of a transport of `benchmarks.sender`."""
        return self.grpc if transport == "grpc" else self.http


def binary() -> Path:
    """The agent's executable. Raises SystemExit saying how to install it."""
    found = importlib.util.find_spec("rotel")
    path = Path(found.origin).parent / "rotel-agent" if found and found.origin else None
    if path is None or not path.exists():
        sys.exit("Rotel is not installed; `pip install 'spanmeter[bench]'` installs it.")
    return path


@contextmanager
def rotel(store_url: str) -> Iterator[Rotel]:
    """An agent with its defaults (batches of 8,192 spans or 200 ms, lz4, asynchronous inserts)."""
    grpc, http = free_ports(2)
    with tempfile.TemporaryDirectory(prefix="rotel-bench-") as name, (Path(name) / "log").open("wb") as log:
        process = subprocess.Popen(_command(grpc, http, store_url, Path(name)), stdout=log, stderr=log)
        try:
            until(lambda: process.poll() is not None or (answers(grpc) and answers(http)), 30, "Rotel's start")
            if process.poll() is not None:
                raise RuntimeError(f"Rotel ended: {(Path(name) / 'log').read_text()}")
            yield Rotel(process.pid, grpc, http)
        finally:
            process.terminate()
            process.wait(30)


def _command(grpc: int, http: int, store_url: str, directory: Path) -> list[str]:
    options = {
        "otlp-grpc-endpoint": f"127.0.0.1:{grpc}",
        "otlp-http-endpoint": f"127.0.0.1:{http}",
        "otlp-grpc-max-recv-msg-size-mib": "64",
        "exporter": "clickhouse",
        "clickhouse-exporter-endpoint": store_url,
        "pid-file": str(directory / "pid"),
        "log-file": str(directory / "agent.log"),
    }
    return [str(binary()), "start", *(part for name, value in options.items() for part in (f"--{name}", value))]
