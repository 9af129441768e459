"""The gRPC port beyond single calls: what HTTP/2 has for the life of a connection. Only our own server is this strict."""

import contextlib
import signal
import socket
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import grpc
import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from collector.net import http2
from collector.net.zstd import zstd
from tests.support.daemon import Daemon, running
from tests.support.exporters import EXPORT
from tests.support.http2 import ACK, GOAWAY, HEADERS, PING, frames
from tests.support.http2 import frame as raw
from tests.support.memory import MIB
from tests.support.otlp import request, span, trace_id
from tests.support.tokens import READER, WRITER
from tests.support.waiting import wait_until
from tests.support.wire import TIMEOUT, call, channel, frame, is_closed

pytestmark = pytest.mark.skipif(not http2.NATIVE, reason="grpcio serves where nothing was compiled")

BODY = request(span({"k": "v"})).SerializeToString()
KEEPALIVE = "receivers.otlp.protocols.grpc.keepalive"


class Client:
    """An HTTP/2 connection whose calls are made step by step."""

    def __init__(self, daemon: Daemon, timeout: float = TIMEOUT) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8", validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        self.socket = socket.create_connection(("127.0.0.1", daemon.ports["grpc"]), timeout=timeout)
        self.heard: list[Any] = []
        self.h2.initiate_connection()
        self.flush()
        self.until(h2.events.RemoteSettingsChanged)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def begin(
        self, path: str = EXPORT, media_type: str = "application/grpc", more: Sequence[Any] = (), **how: Any
    ) -> int:
        stream = int(self.h2.get_next_available_stream_id())
        fields = [(":method", how.get("method", "POST")), (":scheme", "http"), (":path", path), (":authority", "x")]
        self.h2.send_headers(stream, [*fields, ("content-type", media_type), *more])
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, ends: bool = True) -> None:
        self.h2.send_data(stream, data, end_stream=ends)
        self.flush()

    def until(self, kind: type) -> Any:
        """The next event of this kind; None when the connection ends without."""
        while True:
            for event in self.heard:
                if isinstance(event, kind):
                    self.heard = self.heard[self.heard.index(event) + 1 :]
                    return event
            data = self.socket.recv(65536)
            if not data:
                return None
            self.heard += self.h2.receive_data(data)
            with contextlib.suppress(OSError):
                self.flush()

    def answer(self) -> dict[str, str]:
        """Headers and trailers of the next call that is answered."""
        found: dict[str, str] = {}
        while "grpc-status" not in found:
            event = self.until(h2.events.ResponseReceived | h2.events.TrailersReceived)
            assert event, "the connection ended without an answer"
            found |= dict(event.headers)
        return found

    def goes(self) -> bool:
        """Whether the server ends the connection."""
        return is_closed(self.socket)


@pytest.fixture(scope="module")
def restless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Asks early whether clients are there, and is soon asked too often."""
    settings = [
        f"{KEEPALIVE}.server_parameters.time=1s",
        f"{KEEPALIVE}.server_parameters.timeout=5s",
        f"{KEEPALIVE}.enforcement_policy.min_time=1h",
    ]
    with running(tmp_path_factory.mktemp("restless"), settings) as started:
        yield started


def test_zstd(daemon: Daemon) -> None:
    trace = trace_id()
    body = zstd.compress(request(span(trace_id=trace)).SerializeToString())
    with Client(daemon) as client:
        client.send(client.begin(more=[("grpc-encoding", "zstd")]), frame(body, 1))
        assert client.answer()["grpc-status"] == "0"
    daemon.trace(trace)


def test_an_unknown_coding_is_told_the_known_ones(daemon: Daemon) -> None:
    with Client(daemon) as client:
        client.send(client.begin(more=[("grpc-encoding", "snappy")]), frame(zlib.compress(BODY), 1))
        answer = client.answer()
    assert answer["grpc-status"] == "12"
    assert answer["grpc-accept-encoding"] == "identity,gzip,deflate,zstd"
    assert "snappy" in answer["grpc-message"]


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"media_type": "application/json"}, "415"),
        ({"media_type": "application/x-protobuf"}, "415"),
        ({"method": "GET"}, "405"),
    ],
)
def test_what_is_no_grpc_has_a_status_of_http(daemon: Daemon, how: dict[str, str], status: str) -> None:
    with Client(daemon) as client:
        client.send(client.begin(**how), BODY)
        answer = client.answer()
        assert answer[":status"] == status
        assert answer["grpc-message"]
        client.send(client.begin(), frame(request(span()).SerializeToString()))
        assert client.answer()["grpc-status"] == "0"


def test_what_is_no_ascii_is_encoded_in_messages(daemon: Daemon) -> None:
    with Client(daemon) as client:
        client.send(client.begin(more=[("grpc-encoding", "\xe9%")]), frame(BODY, 1))
        assert (
            "%C3%83%C2%A9%25" in client.answer()["grpc-message"]
        )  # it was sent as UTF-8, and header fields have bytes


def test_http1_is_told_where_it_is(daemon: Daemon) -> None:
    with socket.create_connection(("127.0.0.1", daemon.ports["grpc"]), timeout=10) as sock:
        sock.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
        said = b"".join(iter(lambda: sock.recv(65536), b""))
    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"OTLP/HTTP has a port of its own" in said


def test_who_may_not_write_is_told_before_the_message_has_come(secured: Daemon) -> None:
    with Client(secured) as client:
        client.send(client.begin(), frame(b"x" * 1000, length=10 * MIB), ends=False)
        assert client.answer()["grpc-status"] == "16"
        client.send(client.begin(more=[("authorization", f"Bearer {READER}")]), frame(b"x", length=10), ends=False)
        assert client.answer()["grpc-status"] == "7"
        body = request(span()).SerializeToString()
        stream = client.begin(more=[("x-api-key", WRITER)])
        client.send(stream, frame(body)[:9], ends=False)
        client.send(stream, frame(body)[9:])
        assert client.answer()["grpc-status"] == "0"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory, token_file: Path) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("secured"), config=token_file, token=WRITER) as started:
        yield started


def test_unfinished_calls_hold_what_has_come_and_give_it_back(daemon: Daemon) -> None:
    from collector.receive.grpc import CALL_BYTES

    def held(client: Client) -> float:
        client.h2.ping(b"12345678")
        client.flush()
        assert client.until(h2.events.PingAckReceived)
        return daemon.metric("spanmeter_in_flight_bytes")

    before = daemon.metric("spanmeter_in_flight_bytes")
    with Client(daemon) as client:
        for stream in (client.begin(), client.begin()):
            client.send(stream, frame(bytes(10_000), length=10 * MIB), ends=False)
            client.send(stream, bytes(10_000), ends=False)
        assert held(client) - before == 2 * (40_000 + CALL_BYTES)
        client.h2.reset_stream(stream)
        assert held(client) - before == 40_000 + CALL_BYTES
    wait_until(lambda: daemon.metric("spanmeter_in_flight_bytes") <= before, 30, "the bytes given back")


# -- health -----------------------------------------------------------------------------------------------------------


def test_health_of_what_is_not_there(daemon: Daemon) -> None:
    body = HealthCheckRequest(service="x.Y").SerializeToString()
    called = call(daemon.grpc, body, method="/grpc.health.v1.Health/Check", response=HealthCheckResponse)
    assert called.code is grpc.StatusCode.NOT_FOUND
    called = call(daemon.grpc, b"\xff", method="/grpc.health.v1.Health/Check", response=HealthCheckResponse)
    assert called.code is grpc.StatusCode.INVALID_ARGUMENT


def test_questions_about_health_hold_no_memory(daemon: Daemon) -> None:
    with Client(daemon) as client:
        stream = client.begin(path="/grpc.health.v1.Health/Check")
        client.send(stream, frame(bytes(10_000), length=10 * MIB), ends=False)
        assert client.answer()["grpc-status"] == "8"
        stream = client.begin(path="/grpc.health.v1.Health/Check")
        client.send(stream, frame(b"")[:2], ends=False)
        client.send(stream, frame(b"")[2:])
        assert client.answer()["grpc-status"] == "0"


def test_questions_about_health_are_not_inflated(daemon: Daemon) -> None:
    large = HealthCheckRequest(service="x" * MIB).SerializeToString()
    with Client(daemon) as client:
        stream = client.begin(path="/grpc.health.v1.Health/Check", more=[("grpc-encoding", "zstd")])
        client.send(stream, frame(zstd.compress(large), 1))
        assert client.answer()["grpc-status"] == "8"


def test_a_client_that_takes_no_answers_is_cut_off(tight: Daemon) -> None:
    with Client(tight) as client:
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.flush()
        client.send(client.begin(path="/grpc.health.v1.Health/Check"), frame(b""))
        assert client.goes()


def test_health_is_watched_until_the_end(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(running(tmp_path))
        opened = stack.enter_context(channel(daemon.grpc))
        stub = HealthStub(opened)
        known = stub.Watch(HealthCheckRequest(service=EXPORT.split("/")[1]), timeout=30)
        unknown = stub.Watch(HealthCheckRequest(service="x.Y"), timeout=30)
        assert next(known).status == HealthCheckResponse.SERVING
        assert next(unknown).status == HealthCheckResponse.SERVICE_UNKNOWN
        unknown.cancel()
        daemon.signal(signal.SIGTERM)
        assert next(known).status == HealthCheckResponse.NOT_SERVING
        with pytest.raises(grpc.RpcError) as ended:
            next(known)
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE


# -- the life of a connection -----------------------------------------------------------------------------------------


def said(sock: socket.socket) -> Iterator[tuple[int, int, int, bytes]]:
    """What the server says until it ends the connection: (type, flags, stream, payload) of each frame."""
    data = b""
    while part := sock.recv(65536):
        data += part
        while len(data) >= 9 and len(data) >= (size := 9 + int.from_bytes(data[:3], "big")):
            yield from frames(data[:size])
            data = data[size:]


def farewell(sock: socket.socket) -> list[int]:
    """Hear a connection out to its end, and say that it was heard; the last streams of its GOAWAY frames."""
    streams = []
    for kind, flags, _, payload in said(sock):
        if kind == GOAWAY:
            last, code = struct.unpack(">II", payload[:8])
            assert code == 0
            streams.append(last)
        elif kind == PING and streams:
            assert not flags
            sock.sendall(raw(PING, ACK, payload=payload))
    return streams


ALL = (1 << 31) - 1


def test_a_stopping_server_says_goodbye(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, Client(daemon) as client, Client(daemon) as silent:
        client.send(client.begin(), frame(BODY))
        assert client.answer()["grpc-status"] == "0"
        daemon.signal(signal.SIGTERM)
        assert farewell(client.socket) == [ALL, 1]
        last = [struct.unpack(">I", payload[:4])[0] for kind, *_, payload in said(silent.socket) if kind == GOAWAY]
        assert last == [ALL, 0]


def test_a_call_that_was_on_its_way_when_the_server_stopped_is_answered(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, Client(daemon) as client:
        body = frame(request(span()).SerializeToString())
        client.send(client.begin(), body)
        assert client.answer()["grpc-status"] == "0"
        daemon.signal(signal.SIGTERM)
        heard = said(client.socket)
        while (goodbye := next(heard))[0] != GOAWAY:
            continue
        assert struct.unpack(">II", goodbye[3]) == (ALL, 0)
        stream = client.begin()
        client.send(stream, frame(request(span()).SerializeToString()))
        answered = [payload for kind, _, number, payload in heard if (kind, number) == (HEADERS, stream)]
        assert b"grpc-status\x010" in answered[-1]


def test_no_call_of_real_clients_is_lost_when_the_server_stops(tmp_path: Path) -> None:
    """Clients that send without pause until nobody is there: what they are told is an answer, or that nobody is."""
    data = tmp_path / "data"
    accepted: list[bytes] = []
    failures: list[tuple[grpc.StatusCode, str]] = []

    def send(opened: grpc.Channel) -> None:
        export = opened.unary_unary(EXPORT)
        while True:
            trace = trace_id()
            try:
                export(request(span(trace_id=trace)).SerializeToString(), timeout=20)
            except grpc.RpcError as error:
                failures.append((error.code(), error.details()))
                return
            accepted.append(trace)

    with contextlib.ExitStack() as stack, running(data) as daemon:
        pool = stack.enter_context(ThreadPoolExecutor(8))
        channels = [stack.enter_context(channel(daemon.grpc)) for _ in range(4)]
        sending = [pool.submit(send, opened) for opened in channels for _ in range(2)]
        wait_until(lambda: len(accepted) > 200, 30, "200 calls")
        daemon.stop()
        for each in sending:
            each.result(30)
    # Nobody listens any more. Whoever is refused by a GOAWAY, or cut off within a call, hears something else.
    assert {code for code, _ in failures} == {grpc.StatusCode.UNAVAILABLE}
    assert all("Connection refused" in details for _, details in failures), failures
    with running(data) as again:
        for trace in accepted[:: len(accepted) // 20] + accepted[-20:]:
            again.trace(trace)


def test_a_stopping_server_lets_calls_end(tmp_path: Path) -> None:
    with running(tmp_path) as daemon, Client(daemon) as client:
        stream = client.begin()
        client.send(stream, frame(BODY)[:20], ends=False)
        client.h2.ping(b"12345678")
        client.flush()
        assert client.until(h2.events.PingAckReceived)
        daemon.signal(signal.SIGTERM)
        heard = said(client.socket)  # h2 takes a GOAWAY for the end of its streams, so it is not told
        while next(heard)[3][:4] != struct.pack(">I", stream):
            continue
        client.send(stream, frame(BODY)[20:])
        assert any(b"grpc-status\x010" in payload for kind, *_, payload in heard if kind == HEADERS)


def test_a_client_that_is_not_there_is_found_out(restless: Daemon) -> None:
    with Client(restless) as client:
        assert client.goes()  # it hears the PING and does not answer


def test_a_client_that_is_there_stays(restless: Daemon) -> None:
    with Client(restless) as client:
        for _ in range(3):
            assert client.until(h2.events.PingReceived)
        client.send(client.begin(), frame(request(span()).SerializeToString()))
        assert client.answer()["grpc-status"] == "0"


def test_too_many_pings(restless: Daemon) -> None:
    with Client(restless) as client:
        for number in range(4):
            client.h2.ping(struct.pack(">Q", number))
        client.flush()
        ended = client.until(h2.events.ConnectionTerminated)
        assert (ended.error_code, ended.additional_data) == (11, b"too_many_pings")
        assert client.goes()


def test_idle_and_old_connections_end(tmp_path: Path) -> None:
    server = f"{KEEPALIVE}.server_parameters"
    with running(tmp_path, [f"{server}.max_connection_idle=2s", f"{server}.max_connection_age=4s"]) as daemon:
        with Client(daemon) as client:
            assert farewell(client.socket) == [ALL, 0]
        begun = time.monotonic()
        with Client(daemon) as client:
            assert client.begin()
            assert next(payload for kind, *_, payload in said(client.socket) if kind == GOAWAY)
            assert time.monotonic() - begun > 3, "a call is open, so it is not idle; ages differ by a tenth"


def test_a_frame_that_never_ends_is_cut_off(tight: Daemon) -> None:
    with Client(tight) as client:
        client.socket.sendall(struct.pack(">IBI", 100 << 8 | 1, 0, 1) + bytes(50))
        assert client.goes()


@pytest.mark.parametrize("sent", [b"", b"PRI * HTTP/2.0\r\n\r\nSM", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_a_client_that_never_says_hello_is_cut_off(tight: Daemon, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", tight.ports["grpc"]), timeout=10) as sock:
        sock.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(100) == b""


def test_a_client_that_reads_no_answers_is_cut_off(tight: Daemon) -> None:
    # Small calls with large answers, and padding so that no more of them come at once than may be in flight.
    fields = b"\x83\x86\x84\x00\x0ccontent-type\x10application/grpc"
    block = b"\xff" + fields + bytes(255)
    head = struct.pack(">I", len(block) << 8 | 1) + b"\x0d"
    with Client(tight) as client, tight.growth() as growth, pytest.raises(ConnectionError):  # noqa: PT012
        for stream in range(1, 4_000_001, 2):  # the port stops reading, and then hangs up
            client.socket.sendall(head + struct.pack(">I", stream) + block)
    assert growth.mib < 32
