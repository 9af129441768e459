"""What RFC 9112 and RFC 9113 forbid in a request is refused on every port, and an honest one after it is answered."""

import json
import struct

import pytest

from collector.net import http2
from tests.support.daemon import Daemon
from tests.support.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, frame, frames, message
from tests.support.otlp import request, span
from tests.support.raw_http2 import Field, block, connected
from tests.support.wire import Connection, raw_call, succeeded
from tests.support.wire import frame as grpc_message

BODY = request(span()).SerializeToString()
TARGETS = {"http": "/v1/traces", "web": "/api/v1/budgets/check"}

HEADS = {
    "two hosts": "Host: x\r\nHost: x",
    "two other hosts": "Host: x\r\nhost: y",
    "no host": "Accept: */*",
    "a host with a space": "Host: a b",
    "a host with a comma and a space": "Host: a, b",
    "a host with a path": "Host: a/b",
    "a host with a user": "Host: user@a",
    "two credentials": "Host: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b",
    "the same credentials twice": "Host: x\r\nAuthorization: Bearer a\r\nauthorization: Bearer a",
    "two keys": "Host: x\r\nX-Api-Key: a\r\nX-Api-Key: b",
    "two media types": "Host: x\r\nContent-Type: application/json",
    "two codings": "Host: x\r\nContent-Encoding: gzip\r\nContent-Encoding: identity",
    "a name with a space": "Host: x\r\na b: c",
    "a name with a space at its end": "Host: x\r\na : c",
    "a name with a control character": "Host: x\r\na\x01: c",
    "a name beyond ASCII": "Host: x\r\na\xe9: c",
    "a value with NUL": "Host: x\r\na: b\0c",
    "a value with CR": "Host: x\r\na: b\rc",
    "a value with LF": "Host: x\r\na: b\nc",
}


@pytest.mark.parametrize("port", TARGETS)
@pytest.mark.parametrize("kind", HEADS)
def test_heads_of_http1(daemon: Daemon, port: str, kind: str) -> None:
    media_type = "application/x-protobuf" if port == "http" else "application/json"
    head = f"POST {TARGETS[port]} HTTP/1.1\r\n{HEADS[kind]}\r\nContent-Type: {media_type}\r\nContent-Length: 2\r\n\r\n"
    with Connection(daemon.ports[port]) as connection:
        connection.send(head.encode("latin-1") + b"{}")
        answer = connection.answer()
        assert answer.status == 400, answer
        assert connection.ends(), "what is behind it may be part of what someone else sees as this request"
    if port == "http":
        with Connection(daemon.ports[port]) as connection:
            connection.send(connection.head(len(BODY)) + BODY)
            succeeded(connection.answer())


@pytest.mark.parametrize("host", ["", "a", "a:4318", "127.0.0.1:4318", "[::1]:4318", "a_b.example", "xn--bcher-kva.de"])
@pytest.mark.parametrize("port", TARGETS)
def test_hosts_that_are_some(daemon: Daemon, port: str, host: str) -> None:
    with Connection(daemon.ports[port]) as connection:
        target = "/v1/traces" if port == "http" else "/healthz"
        connection.send(connection.head(len(BODY), path=target, headers={"Host": host}) + BODY)
        assert connection.answer().status == (200 if port == "http" else 405)


def test_the_sentence_of_the_web_port_says_what_is_wrong(daemon: Daemon) -> None:
    with Connection(daemon.ports["web"]) as connection:
        connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")
        assert json.loads(connection.answer().body)["error"] == {
            "reason": "malformed",
            "message": "The request has the field 'host' more than once.",
        }


@pytest.mark.skipif(not http2.NATIVE, reason="grpcio is less strict")
@pytest.mark.parametrize(
    "field",
    [
        ("a b", "c"),
        ("a\x01", "c"),
        ("a:b", "c"),
        (b"a\x80", "c"),
        ("a", b"b\n"),
        ("a", b"\x00"),
        ("a", " b"),
        ("content-length", "7"),
        ("content-length", "700"),
        ("content-length", "x"),
        (":authority", "y"),
    ],
)
def test_heads_of_http2(daemon: Daemon, field: Field) -> None:
    """The stream is reset; the connection lives, as its next call shows."""
    body = message(BODY)
    bad, good = block(more=[field]), block()
    said = frame(HEADERS, END_HEADERS, 1, bad) + frame(DATA, END_STREAM, 1, body)
    said += frame(HEADERS, END_HEADERS, 3, good) + frame(DATA, END_STREAM, 3, body)
    with connected(daemon.ports["grpc"]) as [sock]:
        sock.sendall(said)
        heard = b""
        while b"grpc-status" not in heard:
            data = sock.recv(65536)
            assert data, "the connection ended"
            heard += data
    answers = [(kind, stream, payload) for kind, _, stream, payload in frames(heard) if stream]
    assert answers[0] == (RST_STREAM, 1, struct.pack(">I", 1))
    assert {stream for _, stream, _ in answers[1:]} == {3}
    assert b"grpc-status\x010" in answers[-1][2]


@pytest.mark.skipif(not http2.NATIVE, reason="grpcio is less strict")
@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_credentials_twice_over_grpc(daemon: Daemon, name: str) -> None:
    twice = [(name, "Bearer a"), (name, "Bearer a")]
    assert raw_call(daemon.ports["grpc"], [grpc_message(BODY)], headers=twice) == 3
    assert raw_call(daemon.ports["grpc"], [grpc_message(BODY)], headers=twice[:1]) == 0
