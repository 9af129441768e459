"""OTLP clients that say exactly what a test wants said: raw HTTP/1.1, raw gRPC over HTTP/2, and plain gRPC calls."""

import contextlib
import json
import select
import socket
import ssl
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc
import h2.config
import h2.connection
import h2.events
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.exporters import EXPORT

PROTOBUF, JSON = "application/x-protobuf", "application/json"
# Longer than anything takes on a busy machine, and shorter than the daemon's own patience.
TIMEOUT = 30.0


def is_closed(sock: socket.socket, seconds: float = TIMEOUT) -> bool:
    """Whether the other side closes a connection by then, whatever it sends before."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            if not sock.recv(65536):
                return True
        except TimeoutError:
            return False
        except OSError:
            return True
    return False


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    interim: list[int] = field(default_factory=list)

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]


class Connection:
    """One TCP connection to the OTLP/HTTP port."""

    def __init__(self, port: int, timeout: float = TIMEOUT, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        raw = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.close()

    def head(
        self,
        length: int | None = None,
        media_type: str | None = PROTOBUF,
        path: str = "/v1/traces",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        version: str = "1.1",
    ) -> bytes:
        lines = {"Host": f"127.0.0.1:{self.port}"}
        if media_type is not None:
            lines["Content-Type"] = media_type
        if length is not None:
            lines["Content-Length"] = str(length)
        lines.update(headers or {})
        text = f"{method} {path} HTTP/{version}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        return text.encode("latin-1")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_until_answered(self, parts: Iterable[bytes]) -> None:
        """Send, but stop once the server answers or hangs up: an early answer must not be lost to a reset."""
        timeout = self.socket.gettimeout()
        self.socket.setblocking(False)
        deadline = time.monotonic() + 60
        poller = select.poll()  # unlike select(), it takes any file descriptor
        poller.register(self.socket, select.POLLIN | select.POLLOUT)
        try:
            for part in parts:
                left = memoryview(part)
                while left:
                    ready = dict(poller.poll(1000)).get(self.socket.fileno(), 0)
                    if ready & ~select.POLLOUT:
                        return
                    assert time.monotonic() < deadline, "the server neither reads nor answers"
                    if ready:
                        with contextlib.suppress(BlockingIOError):
                            left = left[self.socket.send(left) :]
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            self.socket.settimeout(timeout)

    def answer(self) -> Answer:
        interim: list[int] = []
        while True:
            status = int(self.line().split()[1])
            headers = {}
            while line := self.line():
                name, _, value = line.decode("latin-1").partition(":")
                headers[name.strip().lower()] = value.strip()
            if status >= 200:
                return Answer(status, headers, self._take(int(headers["content-length"])), interim)
            interim.append(status)

    def ends(self, seconds: float = TIMEOUT) -> bool:
        """Whether the server closes the connection by then, whatever it sends before."""
        return is_closed(self.socket, seconds)

    def line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._fill()
        line, self._buffer = self._buffer.split(b"\r\n", 1)
        return line

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _fill(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server closed the connection before a whole answer")
        self._buffer += data


def post(
    port: int,
    body: bytes | dict[str, Any],
    media_type: str | None = PROTOBUF,
    headers: Mapping[str, str] | None = None,
    path: str = "/v1/traces",
    method: str = "POST",
) -> Answer:
    """One request on a connection of its own."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    with Connection(port) as connection:
        connection.send_until_answered([connection.head(len(data), media_type, path, method, headers), data])
        return connection.answer()


def succeeded(answer: Answer, media_type: str = PROTOBUF) -> None:
    """200 without partial_success, in the encoding of the request."""
    assert answer.status == 200, answer
    assert answer.media_type == media_type
    if media_type == JSON:
        assert json.loads(answer.body) == {}
    else:
        assert not ExportTraceServiceResponse.FromString(answer.body).HasField("partial_success")


def partial(answer: Answer, media_type: str = PROTOBUF) -> tuple[int, str]:
    """rejected_spans and error_message of a 200."""
    assert answer.status == 200, answer
    if media_type == JSON:
        document = json.loads(answer.body)["partialSuccess"]
        return int(document["rejectedSpans"]), document["errorMessage"]
    response = ExportTraceServiceResponse.FromString(answer.body)
    return response.partial_success.rejected_spans, response.partial_success.error_message


def status_message(answer: Answer, status: int, media_type: str = PROTOBUF) -> str:
    """The message of an error whose body is a google.rpc.Status in the request's encoding."""
    assert answer.status == status, answer
    assert answer.media_type == media_type
    if media_type == JSON:
        document = json.loads(answer.body)
        assert set(document) == {"code", "message"}
        message = document["message"]
    else:
        message = Status.FromString(answer.body).message
    assert message
    assert isinstance(message, str)
    return message


# -- gRPC -------------------------------------------------------------------------------------------------------------


@dataclass
class Called:
    """What became of a call."""

    code: grpc.StatusCode
    message: str = ""
    response: Any = None
    retry: bool = False


@contextlib.contextmanager
def channel(target: str, credentials: Any = None) -> Iterator[Any]:
    options = [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.ssl_target_name_override", "localhost"),
    ]
    opened = (
        grpc.secure_channel(target, credentials, options)
        if credentials
        else grpc.insecure_channel(target, options=options)
    )
    with opened:
        yield opened


def call(
    target: str,
    body: bytes,
    *,
    method: str = EXPORT,
    metadata: Sequence[tuple[str, str | bytes]] = (),
    compression: Any = None,
    credentials: Any = None,
    response: Any = ExportTraceServiceResponse,
) -> Called:
    """One unary call with raw bytes on a channel of its own."""
    with channel(target, credentials) as opened:
        invoke = opened.unary_unary(method, request_serializer=bytes, response_deserializer=response.FromString)
        try:
            answer = invoke(body, timeout=60, metadata=metadata, compression=compression)
        except grpc.RpcError as error:
            return Called(error.code(), error.details() or "", None, has_retry_info(error.trailing_metadata()))
        return Called(grpc.StatusCode.OK, "", answer)


def has_retry_info(trailing: Any) -> bool:
    for key, value in trailing or ():
        if key == "grpc-status-details-bin":
            return any(detail.Is(RetryInfo.DESCRIPTOR) for detail in Status.FromString(value).details)
    return False


def frame(message: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes([flag]) + struct.pack(">I", len(message) if length is None else length) + message


def raw_call(  # noqa: PLR0911 - a connection ends in many ways
    port: int,
    frames: Sequence[bytes],
    *,
    headers: Sequence[tuple[str, str]] = (),
    path: str = EXPORT,
    content_type: str = "application/grpc",
    method: str = "POST",
    ends: bool = True,
    timeout: float = TIMEOUT,
) -> int | str:
    """One call by hand; its grpc-status, or how the connection ended without one."""
    connection = h2.connection.H2Connection(
        h2.config.H2Configuration(client_side=True, validate_outbound_headers=False)
    )
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
        connection.initiate_connection()
        lines = [(":method", method), (":scheme", "http"), (":path", path), (":authority", f"127.0.0.1:{port}")]
        lines += [("content-type", content_type), ("te", "trailers"), *headers]
        connection.send_headers(1, lines, end_stream=not frames and ends)
        left = memoryview(b"".join(frames))
        pending = bool(frames)
        while True:
            while pending:
                size = min(connection.local_flow_control_window(1), connection.max_outbound_frame_size, len(left))
                if not size:
                    break
                pending = size < len(left)
                connection.send_data(1, bytes(left[:size]), end_stream=ends and not pending)
                left = left[size:]
            try:
                sock.sendall(connection.data_to_send())
                data = sock.recv(65536)
            except TimeoutError:
                return "timeout"
            except OSError:
                return "reset"
            if not data:
                return "closed"
            for event in connection.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    found = {_text(key): _text(value) for key, value in event.headers}
                    if "grpc-status" in found:
                        return int(found["grpc-status"])
                elif isinstance(event, h2.events.DataReceived):
                    connection.acknowledge_received_data(event.flow_controlled_length, 1)
                elif isinstance(event, h2.events.StreamReset):
                    return "reset"
                elif isinstance(event, h2.events.StreamEnded):
                    return "ended"
                elif isinstance(event, h2.events.ConnectionTerminated):
                    return "goaway"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
