"""As many connections as may be, and as many as there are file descriptors for."""

import contextlib
import http.client
import resource
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest

from collector.net import http2
from tests.support.daemon import Daemon, running
from tests.support.otlp import request, span
from tests.support.waiting import wait_until
from tests.support.wire import call, is_closed, post, succeeded

MOST = 4


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Takes four connections on each port."""
    settings = [
        f"receivers.otlp.protocols.grpc.max_connections={MOST}",
        f"receivers.otlp.protocols.http.max_connections={MOST}",
        f"web.max_connections={MOST}",
    ]
    with running(tmp_path_factory.mktemp("full"), settings) as started:
        yield started


def connected(daemon: Daemon, port: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", daemon.ports[port]), timeout=30)


def counted(daemon: Daemon, what: str, port: str) -> float:
    if port == "web":
        return daemon.metric(f"spanmeter_web_{what}")
    return daemon.metric(f"spanmeter_receiver_{what}", transport=port)


@pytest.mark.parametrize("port", ["grpc", "http"])
def test_more_connections_are_closed_and_those_there_are_go_on(full: Daemon, port: str) -> None:
    if port == "grpc" and not http2.NATIVE:
        pytest.skip("grpcio knows no such limit")
    refused = counted(full, "refused_connections_total", port)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connected(full, port)) for _ in range(MOST)]
        wait_until(lambda: counted(full, "connections", port) == MOST, 30, "four connections")
        for _ in range(3):
            with connected(full, port) as more:
                assert is_closed(more)
        wait_until(lambda: counted(full, "refused_connections_total", port) == refused + 3, 30, "three refusals")
        assert counted(full, "connections", port) == MOST
        for sock in held:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv(1)
        held[0].close()
        wait_until(lambda: counted(full, "connections", port) < MOST, 30, "room")
        assert_takes_spans(full, port)


def test_more_connections_to_the_web_port_are_closed(full: Daemon) -> None:
    asking = http.client.HTTPConnection("127.0.0.1", full.ports["web"], timeout=30)
    with contextlib.ExitStack() as stack:
        stack.callback(asking.close)

        def answer() -> str:
            asking.request("GET", "/metrics")
            return asking.getresponse().read().decode()

        wait_until(lambda: "spanmeter_web_connections 1.0\n" in answer(), 30, "the end of earlier connections")
        refused = refusals(answer())
        for _ in range(MOST - 1):
            stack.enter_context(connected(full, "web"))
        wait_until(lambda: f"spanmeter_web_connections {MOST}.0\n" in answer(), 30, "four connections")
        with connected(full, "web") as more:
            assert is_closed(more)
        wait_until(lambda: refusals(answer()) == refused + 1, 30, "a refusal")


def refusals(metrics: str) -> float:
    (line,) = (line for line in metrics.splitlines() if line.startswith("spanmeter_web_refused_connections_total "))
    return float(line.split()[1])


def assert_takes_spans(daemon: Daemon, port: str) -> None:
    body = request(span()).SerializeToString()
    if port == "grpc":
        assert call(daemon.grpc, body).code is grpc.StatusCode.OK
    else:
        succeeded(post(daemon.ports["http"], body))


def test_without_descriptors_clients_wait_and_the_processor_rests(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, contextlib.ExitStack() as stack:
        process = psutil.Process(daemon.process.pid)
        usual = process.rlimit(resource.RLIMIT_NOFILE)
        process.rlimit(resource.RLIMIT_NOFILE, (process.num_fds() + 10, usual[1]))
        waiting = [stack.enter_context(connected(daemon, port)) for port in ("grpc", "http") * 20]
        assert_rests(process)
        process.rlimit(resource.RLIMIT_NOFILE, usual)
        for port in ("grpc", "http"):
            assert_takes_spans(daemon, port)
        assert "takes no connections for the moment" in daemon.log()
        if http2.NATIVE:
            expected = {"grpc": 20, "http": 20}
            wait_until(lambda: {port: counted(daemon, "connections", port) for port in expected} == expected, 30, "all")
        assert waiting


def assert_rests(process: psutil.Process) -> None:
    """A loop that tries again and again takes a whole core."""

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    before, begun = used(), time.monotonic()
    while time.monotonic() < begun + 2:
        select.select([], [], [], 0.5)
    assert used() - before < 0.5 * (time.monotonic() - begun)
