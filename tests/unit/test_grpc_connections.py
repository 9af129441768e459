"""What is left of a connection that is lost: nothing, at once."""

import asyncio
import gc
import socket
import struct
import weakref
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from collector.accept import Acceptor
from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits
from collector.config import AuthConfig, DedupeConfig, GrpcConfig, SpoolConfig
from collector.receive import http2
from collector.spool import Delivery, Spool
from collector.telemetry import Metrics
from tests.support.clock import FakeClock
from tests.support.exporters import EXPORT
from tests.support.http2 import DATA, END_HEADERS, HEADERS, PREFACE, SETTINGS, frame, plain_block

pytestmark = pytest.mark.skipif(not http2.NATIVE, reason="grpcio serves where nothing was compiled")

# The beginning of a message of a mebibyte.
_PART = b"\x00" + struct.pack(">I", 1 << 20) + bytes(10_000)
_BEGUN = PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, plain_block(path=EXPORT)) + frame(DATA, 0, 1, _PART)


def test_half_a_message_goes_with_its_connection(tmp_path: Path) -> None:
    from collector.receive.grpc import GrpcServer

    clock = FakeClock()
    spool = Spool(tmp_path / "spool", SpoolConfig.model_validate({"min_free_bytes": 0}), clock)
    window: DedupeWindow[Delivery] = DedupeWindow(DedupeConfig(), clock)
    limits = Limits(1 << 30)
    acceptor = Acceptor(Gate(AuthConfig()), limits, window, spool, clock, Metrics(CollectorRegistry()))

    async def run() -> None:
        server = GrpcServer(acceptor, GrpcConfig(endpoint="127.0.0.1:0"))
        port = await server.start()
        lost = []
        async with asyncio.timeout(20):
            for _ in range(3):
                with socket.create_connection(("127.0.0.1", port)) as client:
                    client.sendall(_BEGUN)
                    while limits.statistics().in_flight_bytes < 10_000:  # noqa: ASYNC110 - it happens in this loop
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

    gc.collect()
    gc.disable()  # the daemon's collector of cycles runs rarely
    try:
        asyncio.run(run())
    finally:
        gc.enable()
        spool.close()
