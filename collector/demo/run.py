"""Starts a daemon, lets the agent run against it, and shows what was stored."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.config import Config, split_endpoint
from collector.demo.agent import Agent
from collector.demo.history import DAYS, History
from collector.demo.model_server import model_server
from collector.demo.receiver import Receiver, webhook_receiver
from collector.demo.settings import SETTINGS, write_settings
from collector.demo.tree import render, total
from collector.errors import StartError
from collector.files import read_ports

_SPANS = 6
_PATIENCE = 60.0
_POLL = 0.1
_SETTLED = 1.5  # seconds after which its evaluators take a run for over


def run_demo(config: Config, *, stay: bool) -> int:
    """Run the demo in `config`'s data directory; with `stay`, serve until interrupted. The exit code."""
    directory = config.directory
    with webhook_receiver() as receiver, _running(config, directory, receiver) as daemon:
        web = f"http://127.0.0.1:{_ports(daemon, directory)['web']}"
        ports = read_ports(directory)
        print(
            f"spanmeter is running: OTLP/gRPC 127.0.0.1:{ports['grpc']}, OTLP/HTTP 127.0.0.1:{ports['http']}, web {web}"
        )
        with model_server() as model_url:
            agent = Agent(model_url, f"127.0.0.1:{ports['grpc']}", f"http://127.0.0.1:{ports['http']}")
            trace_id = agent.run()
            agent.close()
        runs = History(f"http://127.0.0.1:{ports['http']}", time.time_ns()).send() + 1
        spans = _stored(daemon, web, trace_id)
        _await_runs(daemon, web, runs)
        if not receiver.arrived.wait(_PATIENCE):
            raise StartError("No event of a budget arrived in time.")
        print(f"\nOne agent run, sent by three OpenTelemetry exporters, as stored (trace {trace_id}):\n")
        print(render(spans))
        print(f"\nThe run cost ${total(spans)}. With it are stored {runs - 1} runs of the last {DAYS} days, made up.")
        print(f"\n{_verdicts(daemon, web)}")
        print(f"\n{_look(directory, web, trace_id)}")
        if stay:
            print("\nServing until you press Ctrl-C.")
            _wait(daemon)
    return daemon.returncode


def _verdicts(daemon: "subprocess.Popen[bytes]", web: str) -> str:
    """What the evaluators of the settings find of every run, judged now."""
    time.sleep(_SETTLED)
    job = _post(f"{web}/api/v1/evaluators/run", {"since": "2020-01-01"})["job"]
    for _ in _polls(daemon):
        job = _get(f"{web}/api/v1/jobs/{job['id']}")["job"]
        if job["finished_at"]:
            break
    found = (job["result"] or {"evaluators": {}})["evaluators"]
    lines = [
        f"  {name}: {one['passed']} passed, {one['failed']} failed, {one['skipped']} skipped"
        + (f", {one['known']} were judged as they settled" if one["known"] else "")
        for name, one in found.items()
    ]
    return "\n".join(("What evaluators found of them:", *lines))


def _get(url: str) -> Any:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


def _post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def _look(directory: Path, web: str, trace_id: str) -> str:
    return "\n".join(
        (
            "Where to look:",
            f"  {web}/runs   every run: what it did, what it cost, what evaluators found",
            f"  {web}/runs/{trace_id}   this one, span by span",
            f"  {web}/api/v1/runs/{trace_id}   the run: rounds, actions, system prompt, tools, cost",
            f"  {web}/api/v1/traces/{trace_id}   every span and attribute",
            f"  {web}/metrics   what the daemon counts",
            f"  spanmeter export {trace_id} --data-dir {directory}   the run as JSON, while the daemon runs",
            f"  {directory / 'store'}   the embedded ClickHouse store: table otel.otel_traces",
            f"Serve this data again: spanmeter serve --data-dir {directory} --config {directory / SETTINGS}",
        )
    )


@contextmanager
def _running(config: Config, directory: Path, receiver: Receiver) -> "Iterator[subprocess.Popen[bytes]]":
    daemon = _daemon(config, directory, receiver)
    try:
        yield daemon
    finally:
        daemon.terminate()
        daemon.wait(_PATIENCE)


def _daemon(config: Config, directory: Path, receiver: Receiver) -> "subprocess.Popen[bytes]":
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "ports.json").unlink(missing_ok=True)
    settings = write_settings(directory, receiver.url)
    command = [sys.executable, "-m", "collector", "serve", "--data-dir", str(directory), "--config", str(settings)]
    command += ["--set", "telemetry.log_level=warning"]
    for setting, endpoint in config.endpoints().items():
        command += ["--set", f"{setting}={_free(endpoint)}"]
    return subprocess.Popen(command)  # noqa: S603 - our own command


def _free(endpoint: str) -> str:
    """`endpoint`, or any free port when that one is taken by another daemon."""
    host, port = split_endpoint(endpoint)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return f"{endpoint.rpartition(':')[0]}:0"
    return endpoint


def _ports(daemon: "subprocess.Popen[bytes]", directory: Path) -> dict[str, int]:
    for _ in _polls(daemon):
        try:
            return read_ports(directory)
        except (OSError, ValueError):
            continue
    raise StartError("The daemon did not start in time.")


def _stored(daemon: "subprocess.Popen[bytes]", web: str, trace_id: str) -> list[dict[str, Any]]:
    spans: list[dict[str, Any]] = []
    for _ in _polls(daemon):
        try:
            with urllib.request.urlopen(f"{web}/api/v1/traces/{trace_id}", timeout=10) as response:
                spans = json.load(response)["spans"]
        except urllib.error.HTTPError:
            continue
        if len(spans) >= _SPANS:
            return spans
    raise StartError(f"Only {len(spans)} of {_SPANS} spans of trace {trace_id} were stored in time.")


def _await_runs(daemon: "subprocess.Popen[bytes]", web: str, runs: int) -> None:
    """Return once so many runs are listed. Raises StartError when they are not in time."""
    since = time.strftime("%Y-%m-%d", time.gmtime(time.time() - (DAYS + 1) * 86_400))
    listed = 0
    for _ in _polls(daemon):
        with urllib.request.urlopen(f"{web}/api/v1/runs?since={since}&limit=1000", timeout=10) as response:
            listed = len(json.load(response)["runs"])
        if listed >= runs:
            return
    raise StartError(f"Only {listed} of {runs} runs were stored in time.")


def _polls(daemon: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Turns until the patience ends. Raises StartError when the daemon does."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if daemon.poll() is not None:
            raise StartError(f"The daemon ended with exit code {daemon.returncode}.")
        yield
        time.sleep(_POLL)


def _wait(daemon: "subprocess.Popen[bytes]") -> None:
    try:
        daemon.wait()
    except KeyboardInterrupt:
        daemon.wait(_PATIENCE)
