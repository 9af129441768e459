"""Heads of requests: what they hold while they come, and that nothing of them is kept afterwards."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from collector.net import http2
from tests.support.daemon import Daemon, running
from tests.support.http2 import CONTINUATION, HEADERS, frame
from tests.support.otlp import request, span
from tests.support.raw_http2 import block, connected
from tests.support.tokens import ALL_TOKENS, WRITER, token_config
from tests.support.waiting import wait_until
from tests.support.wire import Connection, is_closed, post, succeeded

COUNT = 200
FIELDS_60_KIB = "".join(f"a{n % 1000:03}: \r\n" for n in range(7500))
PORTS = ["http", "web"]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Wants tokens, and has little room for those who have not shown any."""
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text(token_config(*ALL_TOKENS))
    settings = ["limits.max_in_flight_bytes=8MiB", "receivers.otlp.protocols.grpc.read_timeout=2s"]
    with running(tmp_path_factory.mktemp("guarded"), settings, config=config, token=WRITER) as started:
        yield started


@pytest.mark.parametrize("path", PORTS)
@pytest.mark.parametrize(
    "fields",
    [f"a: {'x' * 65_000}\r\nb: {'x' * 65_000}\r\n", f"a: {'x' * 250_000}\r\n", FIELDS_60_KIB, "a:b\r\n" * 129],
    ids=["two fields", "one field", "many small fields", "more than 128"],
)
def test_a_head_that_comes_in_one_read_has_its_limits(daemon: Daemon, path: str, fields: str) -> None:
    with Connection(daemon.ports[path]) as connection:
        target = "/v1/traces" if path == "http" else "/healthz"
        connection.send_until_answered([f"POST {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode()])
        answer = connection.answer()
        assert answer.status == 400
        assert b"The request head is too large." in answer.body
        assert connection.ends()


def test_a_head_of_some_size_is_taken(daemon: Daemon) -> None:
    headers = {"Cookie": "x" * 50_000} | {f"X-{n}": "a" for n in range(100)}
    succeeded(post(daemon.ports["http"], request(span()).SerializeToString(), headers=headers))


def test_nothing_of_a_head_is_kept_while_its_connection_idles(guarded: Daemon, say: Callable[[str], None]) -> None:
    fields = "".join(f"X-{n}: {'x' * 500}\r\n" for n in range(118))
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n{fields}\r\n".encode()
    with guarded.growth() as growth, ExitStack() as stack:
        for _ in range(COUNT):
            connection = stack.enter_context(Connection(guarded.ports["http"]))
            connection.send(head)
            assert connection.answer().status == 401
    say(f"{COUNT} connections idle after a head of {len(head) // 1024} KiB: {growth.mib:.0f} MiB")
    assert growth.mib < COUNT * len(head) / 2**20 / 2


def test_heads_that_do_not_end_are_counted_and_keep_nobody_out(guarded: Daemon, say: Callable[[str], None]) -> None:
    part = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 500) for n in range(100))
    with guarded.growth() as growth, ExitStack() as stack:
        socks = []
        for _ in range(COUNT):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", guarded.ports["http"]), timeout=30))
            sock.sendall(part)
            socks.append(sock)
        wait_until(lambda: guarded.metric("spanmeter_in_flight_bytes") > 0.8 * 2**20, 30, "the heads are counted")
        assert is_closed(socks[-1]), "there is no room for all of them"
        headers = {"Authorization": f"Bearer {WRITER}"}
        succeeded(post(guarded.ports["http"], request(span()).SerializeToString(), headers=headers))
    say(f"{COUNT} heads of {len(part) // 1024} KiB without an end: {growth.mib:.0f} MiB")
    assert growth.mib < 10
    wait_until(lambda: guarded.metric("spanmeter_in_flight_bytes") == 0, 30, "the end of what was reserved")


@pytest.mark.skipif(not http2.NATIVE, reason="grpcio serves where nothing was compiled")
@pytest.mark.parametrize("part", [b"", b"\0\1a\1b"], ids=["empty", "a field"])
def test_a_header_block_that_is_fed_slowly_ends(guarded: Daemon, part: bytes) -> None:
    with connected(guarded.ports["grpc"]) as [sock]:
        sock.sendall(frame(HEADERS, 0, 1, block()))
        for _ in range(20):
            if is_closed(sock, 0.5):
                return
            sock.sendall(frame(CONTINUATION, 0, 1, part))
    pytest.fail("a header block may take for ever")
