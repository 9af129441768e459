"""As many connections as may be, and as many as there are file descriptors for; idle ones keep nobody out."""

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
from tests.support.http2 import END_HEADERS, HEADERS, PREFACE, SETTINGS, frame
from tests.support.otlp import request, span
from tests.support.raw_http2 import block
from tests.support.waiting import wait_until
from tests.support.wire import call, is_closed, post, succeeded

MOST = 4
# Of a request that goes on.
BEGUN = {
    "grpc": PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, block()),
    "http": b"POST /v1/traces HTTP/1.1\r\n",
}


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
        for sock in held:
            sock.sendall(BEGUN[port])
        wait_until(lambda: counted(full, "connections", port) == MOST, 30, "four connections")
        for _ in range(3):
            with connected(full, port) as more:
                assert is_closed(more)
        wait_until(lambda: counted(full, "refused_connections_total", port) == refused + 3, 30, "three refusals")
        assert counted(full, "connections", port) == MOST
        assert all(map(is_open, held))
        held[0].close()
        wait_until(lambda: counted(full, "connections", port) < MOST, 30, "room")
        assert_takes_spans(full, port)


@pytest.mark.parametrize("port", ["grpc", "http"])
def test_who_asks_for_nothing_gives_place_to_who_does(full: Daemon, port: str) -> None:
    """The longest idle one first."""
    if port == "grpc" and not http2.NATIVE:
        pytest.skip("grpcio knows no such limit")
    refused = counted(full, "refused_connections_total", port)
    with contextlib.ExitStack() as stack:
        wait_until(lambda: counted(full, "connections", port) == 0, 30, "the end of earlier connections")
        longest = stack.enter_context(connected(full, port))
        wait_until(lambda: counted(full, "connections", port) == 1, 30, "the first one")
        busy, *others = [stack.enter_context(connected(full, port)) for _ in range(MOST - 1)]
        busy.sendall(BEGUN[port])
        wait_until(lambda: takes_spans(full, port), 30, "an answer")
        assert is_open(busy)
        assert not is_open(longest)
        assert all(map(is_open, others))
    assert counted(full, "refused_connections_total", port) >= refused


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


def is_open(sock: socket.socket) -> bool:
    """Whether nothing but words has come from the other side so far."""
    sock.setblocking(False)
    while True:
        try:
            if not sock.recv(65536):
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False


def takes_spans(daemon: Daemon, port: str) -> bool:
    body = request(span()).SerializeToString()
    if port == "grpc":
        return call(daemon.grpc, body).code is grpc.StatusCode.OK
    with contextlib.suppress(OSError, EOFError):
        succeeded(post(daemon.ports["http"], body))
        return True
    return False


def assert_takes_spans(daemon: Daemon, port: str) -> None:
    assert takes_spans(daemon, port)


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
