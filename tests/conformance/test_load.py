"""Many clients at once and requests as large as allowed: answered, within bounded memory."""

import concurrent.futures
import contextlib
import gzip
import resource
import select
import time
import zlib
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest

from tests.support.daemon import Daemon
from tests.support.memory import MIB
from tests.support.otlp import request, span, trace_id
from tests.support.wire import Connection, post, status_message, succeeded

CLIENTS = 1000


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 4096)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("what", ["heads", "bodies"])
def test_a_thousand_slow_clients_delay_nobody_and_cost_little(
    daemon: Daemon, what: str, say: Callable[[str], None]
) -> None:
    with contextlib.ExitStack() as opened, daemon.growth() as growth:
        slow_ones = [opened.enter_context(Connection(daemon.ports["http"])) for _ in range(CLIENTS)]
        for connection in slow_ones:
            slow = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Slow: "
            connection.send(slow if what == "heads" else connection.head(100_000) + b"\x0a" * 1000)
        begin = time.monotonic()
        for _ in range(20):
            succeeded(post(daemon.ports["http"], request(span()).SerializeToString()))
        taken = time.monotonic() - begin
        assert not hung_up(slow_ones), "the exports waited until the slow clients were cut off"
    say(f"{CLIENTS} slow {what}: an export beside them {taken / 20:.3f} s, memory +{growth.mib:.0f} MiB")
    assert growth.mib < 100


def hung_up(connections: Sequence[Connection]) -> bool:
    """Whether the server has answered or closed one of them."""
    poller = select.poll()
    for connection in connections:
        poller.register(connection.socket, select.POLLIN)
    return bool(poller.poll(0))


def test_a_thousand_connections_at_once_are_all_answered(daemon: Daemon) -> None:
    traces = [trace_id() for _ in range(CLIENTS)]
    with contextlib.ExitStack() as opened, daemon.growth() as growth:
        connections = [opened.enter_context(Connection(daemon.ports["http"], timeout=60)) for _ in traces]
        for connection, trace in zip(connections, traces, strict=True):
            body = request(span(trace_id=trace)).SerializeToString()
            connection.send(connection.head(len(body)) + body)
        for connection in connections:
            succeeded(connection.answer())
    print(f"{CLIENTS} connections at once: memory +{growth.mib:.0f} MiB")
    for trace in traces[::250]:
        daemon.trace(trace)


def test_keep_alive_clients_in_parallel(daemon: Daemon) -> None:
    def client(_: int) -> int:
        answered = 0
        with Connection(daemon.ports["http"], timeout=60) as connection:
            for _ in range(40):
                body = request(*(span() for _ in range(5))).SerializeToString()
                connection.send(connection.head(len(body)) + body)
                succeeded(connection.answer())
                answered += 1
        return answered

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(client, range(16))) == [40] * 16


def test_oversize_requests_at_once_stay_within_bounded_memory(daemon: Daemon) -> None:
    """The default limits: 64 MiB a request, 256 MiB in flight."""

    def oversize(_: int) -> None:
        with Connection(daemon.ports["http"], timeout=60) as connection:
            block = b"%x\r\n%s\r\n" % (MIB, b"a" * MIB)
            head = connection.head(headers={"Transfer-Encoding": "chunked"})
            connection.send_until_answered([head, *([block] * 70)])
            answer = connection.answer()
            assert answer.status in (413, 503)
            assert ("retry-after" in answer.headers) == (answer.status == 503)
            status_message(answer, answer.status)

    with daemon.growth() as growth, concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(oversize, range(3)))
    print(f"3 oversize requests at once: memory +{growth.mib:.0f} MiB")
    assert growth.mib < 400
    assert daemon.metric("spanmeter_in_flight_bytes") == 0


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_over_http_is_refused_within_bounded_memory(daemon: Daemon, coding: str) -> None:
    stream = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    bomb = b"".join([*(stream.compress(bytes(MIB)) for _ in range(256)), stream.flush()])
    with daemon.growth() as growth:
        answer = post(daemon.ports["http"], bomb, headers={"Content-Encoding": coding})
    print(f"{coding} bomb of 256 MiB in {len(bomb)} bytes over HTTP: memory +{growth.mib:.0f} MiB")
    assert "once decompressed" in status_message(answer, 413)
    assert growth.mib < 64 + 64


def test_a_body_of_empty_gzip_members_delays_nobody(daemon: Daemon) -> None:
    body = gzip.compress(b"") * 500_000
    process = psutil.Process(daemon.process.pid)
    before = process.cpu_times().user
    answer = post(daemon.ports["http"], body, headers={"Content-Encoding": "gzip"})
    assert "more than 10000 members" in status_message(answer, 400)
    assert process.cpu_times().user - before < 2, "in seconds of the processor"
