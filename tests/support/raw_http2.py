"""Connections to the OTLP/gRPC port that say any frames, also those that no library would send."""

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import hpack

from tests.support.exporters import EXPORT
from tests.support.http2 import PREFACE, SETTINGS, frame
from tests.support.wire import TIMEOUT

HEALTH_CHECK, HEALTH_WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
Field = tuple[str | bytes, str | bytes]


def block(path: str = EXPORT, more: Sequence[Field] = ()) -> bytes:
    """The header block of a call, which changes no table: any number of calls may have the same."""
    fields: list[Field] = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
    fields += [("content-type", "application/grpc"), *more]
    return bytes(hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields]))


@contextmanager
def connected(port: int, count: int = 1, settings: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that have said hello, with `settings`."""
    with ExitStack() as stack:
        made = []
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))
            sock.sendall(PREFACE + frame(SETTINGS, payload=settings))
            made.append(sock)
        yield made


def streams(count: int, first: int = 1) -> range:
    """The numbers of so many calls of a client, one after the other."""
    return range(first, first + 2 * count, 2)
