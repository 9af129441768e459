"""Calls that begin and do not end: what they hold is reserved, also for callers who need no token."""

from collections.abc import Callable, Iterator

import grpc
import pytest

from collector.net import http2
from tests.support.daemon import Daemon, running
from tests.support.exporters import EXPORT
from tests.support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, frame, message
from tests.support.otlp import request, span
from tests.support.raw_http2 import HEALTH_CHECK, HEALTH_WATCH, block, connected, streams
from tests.support.waiting import wait_until
from tests.support.wire import call
from tests.support.witness import warm_up, witnessed

pytestmark = pytest.mark.skipif(not http2.NATIVE, reason="grpcio serves where nothing was compiled")

MIB = 1024 * 1024
LIMIT = 16 * MIB
UNKNOWN_LIMIT = LIMIT // 8
CONNECTIONS, CALLS = 20, 1024


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("waiting"), [f"limits.max_in_flight_bytes={LIMIT}"]) as started:
        warm_up(started)
        yield started


def reserved(daemon: Daemon) -> float:
    return daemon.metric("spanmeter_in_flight_bytes")


def half_open(path: str, size: int) -> bytes:
    """1,024 calls of one connection, of each of which a little has come."""
    head, part = block(path), message(bytes(size), length=4090)
    return b"".join(
        frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, 0, stream, part) for stream in streams(CALLS)
    )


@pytest.mark.parametrize("size", [1, 4000])
def test_half_open_exports_hold_what_is_reserved(daemon: Daemon, size: int, say: Callable[[str], None]) -> None:
    wait_until(lambda: reserved(daemon) == 0, 30, "the end of earlier calls")
    with daemon.growth() as growth, connected(daemon.ports["grpc"], CONNECTIONS) as socks:
        for sock in socks:
            sock.sendall(half_open(EXPORT, size))
        wait_until(lambda: reserved(daemon) > 0.95 * LIMIT, 30, "reservations")
    say(f"{CONNECTIONS * CALLS} half-open exports with {size} bytes: {growth.mib:.0f} MiB, the limit is {LIMIT // MIB}")
    assert growth.mib < 3 * LIMIT / MIB
    wait_until(lambda: reserved(daemon) == 0, 30, "the end of what was reserved")


@pytest.mark.parametrize("path", [HEALTH_CHECK, HEALTH_WATCH])
@pytest.mark.parametrize("size", [1, 4000])
def test_questions_about_health_keep_no_export_out(
    daemon: Daemon, path: str, size: int, say: Callable[[str], None]
) -> None:
    wait_until(lambda: reserved(daemon) == 0, 30, "the end of earlier calls")
    with witnessed(daemon) as witness, daemon.growth() as growth, connected(daemon.ports["grpc"], CONNECTIONS) as socks:
        for sock in socks:
            sock.sendall(half_open(path, size))
        wait_until(lambda: reserved(daemon) > 0.95 * UNKNOWN_LIMIT, 30, "reservations")
        assert call(daemon.grpc, request(span()).SerializeToString()).code is grpc.StatusCode.OK
    say(
        f"{CONNECTIONS * CALLS} half-open questions about health with {size} bytes: {growth.mib:.0f} MiB, the longest "
        f"wait {witness.longest:.2f} s"
    )
    assert growth.mib < 4 * UNKNOWN_LIMIT / MIB + 20
    assert witness.failures == 0
    witness.assert_stored(daemon)


def test_those_who_watch_health_hold_what_is_reserved(daemon: Daemon, say: Callable[[str], None]) -> None:
    head, ask = block(HEALTH_WATCH), message(b"")
    attack = b"".join(
        frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, ask) for stream in streams(CALLS)
    )
    wait_until(lambda: reserved(daemon) == 0, 30, "the end of earlier calls")
    with witnessed(daemon) as witness, daemon.growth() as growth, connected(daemon.ports["grpc"], CONNECTIONS) as socks:
        for sock in socks:
            sock.sendall(attack)
        wait_until(lambda: reserved(daemon) > 0.95 * UNKNOWN_LIMIT, 30, "reservations")
    say(f"{CONNECTIONS * CALLS} who watch health: {growth.mib:.0f} MiB, the longest wait {witness.longest:.2f} s")
    assert growth.mib < 4 * UNKNOWN_LIMIT / MIB + 20
    assert witness.failures == 0
    wait_until(lambda: reserved(daemon) == 0, 30, "the end of what was reserved")
