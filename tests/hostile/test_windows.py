"""Clients that never take their answers, and clients that say again and again how much they take."""

import struct
import time
from collections.abc import Callable, Iterator

import pytest

from collector.net import http2
from tests.support.daemon import Daemon, running
from tests.support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, SETTINGS, frame, message
from tests.support.raw_http2 import HEALTH_CHECK, HEALTH_WATCH, block, connected, streams
from tests.support.wire import is_closed
from tests.support.witness import warm_up, witnessed

pytestmark = pytest.mark.skipif(not http2.NATIVE, reason="grpcio serves where nothing was compiled")

CLOSED = struct.pack(">HI", 4, 0)
CALLS = 1024


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Patient for two seconds."""
    timeout = "receivers.otlp.protocols.grpc.read_timeout=2s"
    with running(tmp_path_factory.mktemp("windows"), [timeout]) as started:
        warm_up(started)
        yield started


def calls(path: str, count: int = CALLS) -> bytes:
    head, ask = block(path), message(b"")
    return b"".join(
        frame(HEADERS, END_HEADERS, stream, head) + frame(DATA, END_STREAM, stream, ask) for stream in streams(count)
    )


@pytest.mark.parametrize("after", [0.0, 1.5], ids=["at once", "later"])
def test_who_never_opens_windows_is_cut_off(daemon: Daemon, after: float, say: Callable[[str], None]) -> None:
    """Whenever they began: also before the first look at the deadlines."""
    port = daemon.ports["grpc"]
    with witnessed(daemon) as witness, daemon.growth() as growth, connected(port, 20, settings=CLOSED) as socks:
        begun = time.monotonic()
        assert not after or not is_closed(socks[0], after)
        for sock in socks:
            sock.settimeout(30)
            sock.sendall(calls(HEALTH_CHECK))
        assert all(is_closed(sock) for sock in socks)
        ended = time.monotonic() - begun
    say(
        f"20 x {CALLS} answers that no window takes: cut off after {ended:.1f} s, {growth.mib:.0f} MiB, the longest "
        f"wait {witness.longest:.2f} s"
    )
    assert ended < after + 8
    assert growth.mib < 60
    assert witness.failures == 0


def test_sizes_of_windows_cost_by_the_calls_they_change(daemon: Daemon, say: Callable[[str], None]) -> None:
    """64 sizes a frame times 1,024 calls that wait, on 10 connections at once."""
    sizes = b"".join(struct.pack(">HI", 4, 1000 + n) for n in range(64))
    attack = b"".join(frame(SETTINGS, payload=sizes[: 6 * (63 + n % 2)]) for n in range(1000))
    process = daemon.cpu_seconds()
    with witnessed(daemon) as witness, connected(daemon.ports["grpc"], 10) as socks:
        for sock in socks:
            sock.sendall(calls(HEALTH_WATCH))
        for sock in socks:
            try:
                sock.sendall(attack)
            except OSError:
                continue  # it has been cut off already
        assert all(is_closed(sock) for sock in socks)
    used = daemon.cpu_seconds() - process
    say(
        f"10 x 1,000 frames of 64 window sizes x {CALLS} calls: {used:.2f} s of CPU, longest wait {witness.longest:.2f} s"
    )
    assert used < 5
    assert witness.failures == 0
