"""What is left of a connection that is lost: nothing, at once."""

import asyncio
import gc
import socket
import struct
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop
from prometheus_client import CollectorRegistry

from collector.accept import Acceptor
from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits
from collector.config import AuthConfig, DedupeConfig, GrpcConfig, HttpConfig, SpoolConfig
from collector.net import http2
from collector.net.port import Port
from collector.receive.http import OtlpHttp
from collector.spool import Spool, SpoolAck
from collector.telemetry import Metrics
from tests.support.capture import WITHHOLDS_NOTHING
from tests.support.clock import FakeClock
from tests.support.exporters import EXPORT
from tests.support.http2 import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, frame, plain_block

Loop = Callable[[], asyncio.AbstractEventLoop]

_ENDPOINT = "127.0.0.1:0"
# The beginnings of messages of a mebibyte.
_HELD = 10_000
_PART = b"\x00" + struct.pack(">I", 1 << 20) + bytes(_HELD)
_HTTP2 = PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, plain_block(path=EXPORT)) + frame(DATA, 0, 1, _PART)
_HTTP1 = (
    b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1048576\r\n\r\n"
    + bytes(_HELD)
)


@pytest.fixture
def limits() -> Limits:
    return Limits(1 << 30)


@pytest.fixture
def acceptor(tmp_path: Path, limits: Limits) -> Iterator[Acceptor]:
    clock = FakeClock()
    spool = Spool(tmp_path / "spool", SpoolConfig.model_validate({"min_free_bytes": 0}), clock)
    window: DedupeWindow[SpoolAck] = DedupeWindow(DedupeConfig(), clock)
    yield Acceptor(Gate(AuthConfig()), limits, window, spool, clock, Metrics(CollectorRegistry()), WITHHOLDS_NOTHING)
    spool.close()


@pytest.fixture
def _without_the_collector_of_cycles() -> Iterator[None]:
    """The daemon's runs rarely."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def _goes_at_once(server: Port[Any], begun: bytes, limits: Limits) -> None:
    port = await server.start()
    lost = []
    async with asyncio.timeout(20):
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(begun)
                while limits.statistics().in_flight_bytes < _HELD:  # noqa: ASYNC110 - it happens in this loop
                    await asyncio.sleep(0)
                (connection,) = server._connections
                lost.append(weakref.ref(connection))
                del connection
            while server._connections:  # noqa: ASYNC110
                await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert limits.statistics().in_flight_bytes == 0
    assert [connection() for connection in lost] == [None] * 3
    await server.stop(1)


@pytest.mark.skipif(not http2.NATIVE, reason="grpcio serves where nothing was compiled")
@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.usefixtures("_without_the_collector_of_cycles")
def test_half_a_message_goes_with_its_grpc_connection(loop: Loop, acceptor: Acceptor, limits: Limits) -> None:
    from collector.receive.grpc import GrpcServer

    async def test() -> None:
        await _goes_at_once(GrpcServer(acceptor, GrpcConfig(endpoint=_ENDPOINT)), _HTTP2, limits)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.usefixtures("_without_the_collector_of_cycles")
def test_half_a_request_goes_with_its_http_connection(loop: Loop, acceptor: Acceptor, limits: Limits) -> None:
    async def test() -> None:
        await _goes_at_once(OtlpHttp(acceptor, HttpConfig(endpoint=_ENDPOINT)), _HTTP1, limits)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(test())
