"""OTLP/gRPC and gRPC's health service on our own HTTP/2: nothing is decoded before admission.

The path from the last byte of a call to its answer has no task, future or timer: the message goes to `Acceptor.export`,
which answers at once or returns a delivery, whose callback writes the answer.
"""

import asyncio
import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import quote

import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from collector.accept import Acceptor
from collector.admit.limits import Reservation
from collector.admit.validate import Validated
from collector.config import GrpcConfig
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.envelope import Encoding, Receipt, Signal, Transport
from collector.model.principal import Principal
from collector.net.http2 import Event, EventKind, Fault
from collector.net.http2._codec import Codec
from collector.net.http2.connection import Connection
from collector.net.port import Port
from collector.net.tls import tls_context
from collector.receive.answers import success_body
from collector.receive.inflate import inflate, known
from collector.receive.offload import Looked, Offload, inflate_quickly
from collector.receive.status import status, wire

log = structlog.get_logger("spanmeter.grpc")

_SIGNALS: Final = (Signal.TRACES, Signal.METRICS, Signal.LOGS)
_SERVICES: Final = tuple(
    f"opentelemetry.proto.collector.{name}.v1.{name.capitalize()}Service" for name in ("trace", "metrics", "logs")
)
_HEALTH: Final = "/grpc.health.v1.Health/"
_PATHS: Final = (*(f"/{service}/Export" for service in _SERVICES), _HEALTH + "Check", _HEALTH + "Watch")
_CHECK, _WATCH = 3, 4

# An IntEnum compares many times slower than an int.
_CALL, _OPEN, _PART, _FAULT = int(EventKind.CALL), int(EventKind.OPEN), int(EventKind.PART), int(EventKind.FAULT)
_OK = b"200"
_HTTP_STATUS: Final = {Fault.METHOD: b"405", Fault.MEDIA_TYPE: b"415", Fault.HEADERS_TOO_LARGE: b"431"}
_ACCEPTED_CODINGS: Final = (b"grpc-accept-encoding", b"identity,gzip,deflate,zstd")
# gRPC's Percent-Byte-Unencoded: printable ASCII but for the percent sign.
_UNENCODED: Final = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_MAX_MESSAGE_LENGTH = 1000
_MAX_HEALTH_REQUEST_BYTES = 4096
# What a call holds besides its message until it is answered: its stream, and what we note of it.
CALL_BYTES = 1024

# As much as one read of uvloop takes.
_BUFFER_BYTES = 256 * 1024


_TOO_LONG_A_QUESTION = Rejected(Reason.TOO_LARGE, "The message is larger than any HealthCheckRequest.")


_HTTP1 = Rejected(Reason.PROTOCOL, "This port speaks gRPC.")


_NO_ROOM = Unavailable(Reason.BUSY, "Too many calls without a token are open; send again in a moment.")


class GrpcServer(Port[Connection]):
    """The OTLP/gRPC port: its connections, their limits, TLS, health, and an orderly end."""

    def __init__(self, acceptor: Acceptor, config: GrpcConfig, *, shared: bool = False) -> None:
        self.acceptor = acceptor
        self.offload = Offload(acceptor)
        self.max_bytes = config.max_recv_msg_size_mib * 1024 * 1024
        self.read_timeout = config.read_timeout
        self.keepalive = config.keepalive
        self.buffer = bytearray(_BUFFER_BYTES)
        self.health = Health()
        self._max_streams = config.max_concurrent_streams
        self._paths = [path.encode() for path in _PATHS]
        tls = tls_context(config.tls)
        if tls:
            tls.set_alpn_protocols(["h2"])
        server = config.keepalive.server_parameters
        times = server.time, server.timeout, server.max_connection_idle, server.max_connection_age, self.read_timeout
        min_timeout = min(each for each in times if each)
        super().__init__(
            "OTLP/gRPC",
            config.endpoint,
            tls,
            max_connections=config.max_connections,
            handshake=self.read_timeout,
            min_timeout=min_timeout,
            shared=shared,
        )

    async def stop(self, grace: float) -> None:
        """Refuse new connections and calls, and give those in flight `grace` seconds."""
        self.health.stop()
        await super().stop(grace)

    def refused_http1(self) -> None:
        """Which signal it was, nobody knows."""
        self.acceptor.refused(_HTTP1, Signal.TRACES, Transport.GRPC)

    # -- what connections ask -------------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        return Connection(self)

    def codec(self) -> Codec:
        policy = self.keepalive.enforcement_policy
        return Codec(
            self._paths,
            max_message=self.max_bytes,
            max_streams=self._max_streams,
            min_ping_interval=policy.min_time,
            pings_without_calls=policy.permit_without_stream,
        )

    def calls(self, connection: Connection) -> "ConnectionCalls":
        return ConnectionCalls(self, connection)


class ConnectionCalls:
    """The calls of one connection."""

    def __init__(self, port: GrpcServer, connection: Connection) -> None:
        self.port = port
        self.connection = connection
        self._open: dict[int, ExportCall] = {}  # whose messages have not all come, the oldest first
        self._others: dict[int, Question] = {}  # calls of the health service likewise
        self._unread = port.acceptor.reserve_unknown()  # for answers that are not taken

    def take(self, event: Event) -> None:
        kind, stream, path, text, credentials, value = event
        if kind == _CALL and path < len(_SIGNALS):
            call = self._open.pop(stream, None)
            if call is None:
                call = ExportCall(self, stream, _SIGNALS[path])
                call.run(credentials, value, text)
            else:
                call.end(value, text)
        elif kind == _CALL:
            self._forget_question(stream)
            self._ask_health(stream, path, value, text)
        elif kind == _OPEN:
            if path < len(_SIGNALS):
                call = self._open[stream] = ExportCall(self, stream, _SIGNALS[path])
                call.begin(credentials, value)
            else:
                deadline = self.port.now() + self.port.read_timeout
                self._others[stream] = Question(self.port.acceptor.reserve_unknown(), deadline)
                self._hold_question(stream, value)
        elif kind == _PART:
            call = self._open.get(stream)
            if call:
                call.hold(value)
            else:
                self._hold_question(stream, value)
        else:
            self._drop(stream)
            if kind == _FAULT:
                self._refuse_fault(stream, path, Fault(value), text or "")

    def tick(self, now: float) -> None:
        why = Rejected(Reason.SLOW, f"No whole message arrived within {self.port.read_timeout:g} seconds.")
        for call in [each for each in self._open.values() if each.deadline <= now]:
            call.refuse(why)
        for stream in [each for each, question in self._others.items() if question.deadline <= now]:
            self._drop(stream)
            self.refuse(stream, why)

    def cut(self) -> None:
        why = Rejected(Reason.MALFORMED, "The connection ended within the call.")
        for stream in (*self._open, *self._others, *self.port.health.watched_by(self.connection)):
            self._drop(stream)
            self.refuse(stream, why)

    def unread(self, answers: int) -> None:
        try:
            self._unread.resize(answers * CALL_BYTES)
        except Unavailable:
            log.warning("A client does not take its answers, and there is no room for more of them; it is cut off.")
            self.connection.abort()

    def abandon(self) -> None:
        self._unread.release()
        for stream in (*self._open, *self._others, *self.port.health.watched_by(self.connection)):
            self._drop(stream)

    def succeed(self, stream: int, message: bytes) -> None:
        self.connection.codec.answer(stream, message)
        self.connection.flush_soon()

    def refuse(self, stream: int, error: SpanmeterError, http_status: bytes = _OK) -> None:
        """End a call with the error's code, message and google.rpc.Status."""
        self._open.pop(stream, None)
        self.connection.codec.refuse(stream, http_status, _trailers(error))
        self.connection.flush_soon()

    def _drop(self, stream: int) -> None:
        """Nothing more comes of this call."""
        call = self._open.pop(stream, None)
        if call:
            call.release()
        self._forget_question(stream)
        self.port.health.unwatch(self.connection, stream)

    def _refuse_fault(self, stream: int, path: int, fault: Fault, about: str) -> None:
        error = _fault_error(fault, about, self.port.max_bytes)
        signal = _SIGNALS[path] if 0 <= path < len(_SIGNALS) else Signal.TRACES
        self.port.acceptor.refused(error, signal, Transport.GRPC)
        self.refuse(stream, error, _HTTP_STATUS.get(fault, _OK))

    def _hold_question(self, stream: int, held: int) -> None:
        """`held` bytes of a question to the health service have come, for which nobody needs a token."""
        question = self._others.get(stream)
        if question is None:
            return
        try:
            if held > _MAX_HEALTH_REQUEST_BYTES:
                raise _TOO_LONG_A_QUESTION
            question.held.grow_to(CALL_BYTES + held)
        except Unavailable:
            self._drop(stream)
            self.refuse(stream, _NO_ROOM)
        except Rejected as error:
            self._drop(stream)
            self.refuse(stream, error)

    def _forget_question(self, stream: int) -> None:
        question = self._others.pop(stream, None)
        if question:
            question.held.release()

    def _ask_health(self, stream: int, path: int, message: bytes, coding: str | None) -> None:
        try:
            if len(message) > _MAX_HEALTH_REQUEST_BYTES:
                raise _TOO_LONG_A_QUESTION
            service = HealthCheckRequest.FromString(_plain(message, coding, _MAX_HEALTH_REQUEST_BYTES)).service
            if path == _WATCH:
                held = self.port.acceptor.reserve_unknown()
                held.grow_to(CALL_BYTES)
                self.port.health.watch(self.connection, stream, service, held)
            else:
                self.succeed(stream, self.port.health.check(service))
        except DecodeError:
            self.refuse(stream, Rejected(Reason.MALFORMED, "The message is no HealthCheckRequest."))
        except SpanmeterError as error:
            self.refuse(stream, error)


@dataclass(slots=True)
class Question:
    """A call of the health service whose message has not all come."""

    held: Reservation
    deadline: float


class ExportCall:
    """One export request and its answer."""

    __slots__ = ("_calls", "_principal", "_receipt", "_reservation", "_signal", "deadline", "stream")

    _principal: Principal
    _receipt: Receipt

    def __init__(self, calls: ConnectionCalls, stream: int, signal: Signal) -> None:
        self._calls = calls
        self._signal = signal
        self._reservation = calls.port.acceptor.reserve()
        self.stream = stream

    def begin(self, credentials: Iterable[tuple[str, str]], held: int) -> None:
        """`held` bytes of the message have come. Who may not write is refused before the rest comes."""
        port = self._calls.port
        self.deadline = port.now() + port.read_timeout
        try:
            self._principal = port.acceptor.admit(credentials)
            self._reservation.grow_to(CALL_BYTES + held)
        except SpanmeterError as error:
            self.refuse(error)

    def hold(self, held: int) -> None:
        """`held` bytes of the message have come."""
        try:
            self._reservation.grow_to(CALL_BYTES + held)
        except SpanmeterError as error:
            self.refuse(error)

    def run(self, credentials: Iterable[tuple[str, str]], message: bytes, coding: str | None) -> None:
        """The whole call has come at once."""
        try:
            self._principal = self._calls.port.acceptor.admit(credentials)
        except SpanmeterError as error:
            self.refuse(error)
        else:
            self.end(message, coding)

    def end(self, message: bytes, coding: str | None) -> None:
        """The whole message has come; the answer comes when it is durable."""
        try:
            self._export(message, coding)
        except SpanmeterError as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001 - logged there
            self._defect(error)

    def _export(self, message: bytes, coding: str | None) -> None:
        port, reservation = self._calls.port, self._reservation
        reservation.grow_to(CALL_BYTES + len(message))
        body: bytes | None = message
        if coding is not None:
            _check_coding(coding)
            body = inflate_quickly(message, coding, port.max_bytes)
        if body is None or not self._export_plain(message, body):
            looked = port.offload.look_at(
                self._principal.project,
                self._signal,
                message,
                coding or "",
                Encoding.PROTOBUF,
                port.max_bytes,
                reservation,
            )
            looked.add_done_callback(partial(self._looked_at, message))

    def _export_plain(
        self, message: bytes, body: bytes, validated: Validated | Rejected | Unavailable | None = None
    ) -> bool:
        """False when looking at the body takes long."""
        self._reservation.grow_to(CALL_BYTES + len(message) + (0 if body is message else len(body)))
        outcome = self._calls.port.acceptor.export(
            self._principal, self._signal, body, Encoding.PROTOBUF, Transport.GRPC, validated
        )
        if outcome is None:
            return False
        self._receipt, ack = outcome
        if ack:
            ack.then(self._completed)
        else:
            self._succeed()
        return True

    def _looked_at(self, message: bytes, looked: "asyncio.Future[Looked]") -> None:
        try:
            self._export_plain(message, *looked.result())
        except SpanmeterError as error:
            self.refuse(error)
        except Exception as error:  # noqa: BLE001 - logged there
            self._defect(error)

    def refuse(self, error: SpanmeterError) -> None:
        self._reservation.release()
        self._calls.port.acceptor.refused(error, self._signal, Transport.GRPC)
        self._calls.refuse(self.stream, error)

    def release(self) -> None:
        self._reservation.release()

    def _completed(self, failure: Unavailable | None) -> None:
        if failure:
            self.refuse(failure)
        else:
            self._succeed()

    def _succeed(self) -> None:
        self._reservation.release()
        self._calls.succeed(self.stream, success_body(self._receipt, self._signal, Encoding.PROTOBUF))

    def _defect(self, error: Exception) -> None:
        log.error("A call failed inside spanmeter; the client is asked to send it again.", exc_info=error)
        self.refuse(Unavailable(Reason.STORE, "The server failed to handle this call; send it again.", 5.0))


class Health:
    """gRPC's health service: every service is up until the port stops."""

    def __init__(self) -> None:
        self._state = HealthCheckResponse.SERVING
        self._watching: dict[Connection, dict[int, Reservation]] = {}

    def check(self, service: str) -> bytes:
        """The answer for `service`. Raises Rejected(NOT_FOUND)."""
        if service and service not in _SERVICES:
            raise Rejected(Reason.NOT_FOUND, f"There is no service {service[:_MAX_MESSAGE_LENGTH]!r} here.")
        return bytes(HealthCheckResponse(status=self._state).SerializeToString())

    def watch(self, connection: Connection, stream: int, service: str, held: Reservation) -> None:
        """Tell how it is, and when that changes; `held` is released once nobody watches any more."""
        if service and service not in _SERVICES:
            self._say(connection, stream, HealthCheckResponse.SERVICE_UNKNOWN)
        else:
            self._say(connection, stream, self._state)
        if self._state == HealthCheckResponse.NOT_SERVING:
            held.release()
            self._end(connection, stream)
        else:
            self._watching.setdefault(connection, {})[stream] = held

    def unwatch(self, connection: Connection, stream: int) -> None:
        streams = self._watching.get(connection, {})
        held = streams.pop(stream, None)
        if held:
            held.release()
            if not streams:
                del self._watching[connection]

    def watched_by(self, connection: Connection) -> Sequence[int]:
        """The calls of a connection that wait for news."""
        return tuple(self._watching.get(connection, ()))

    def stop(self) -> None:
        """Say that nothing is served any more."""
        self._state = HealthCheckResponse.NOT_SERVING
        for connection, streams in self._watching.items():
            for stream, held in streams.items():
                held.release()
                self._say(connection, stream, self._state)
                self._end(connection, stream)
        self._watching.clear()

    def _say(self, connection: Connection, stream: int, state: HealthCheckResponse.ServingStatus) -> None:
        connection.codec.send(stream, HealthCheckResponse(status=state).SerializeToString())
        connection.flush_soon()

    def _end(self, connection: Connection, stream: int) -> None:
        connection.codec.refuse(stream, _OK, _trailers(Unavailable(Reason.STOPPING, "The server is stopping.")))
        connection.flush_soon()


def _plain(message: bytes, coding: str | None, limit: int) -> bytes:
    """The message without its compression; None: it has none. Raises Rejected."""
    if coding is None:
        return message
    _check_coding(coding)
    return inflate(message, coding, limit)


def _check_coding(coding: str) -> None:
    """Raises Rejected for a coding that a compressed message cannot have."""
    if not coding or coding == "identity":
        raise Rejected(Reason.MALFORMED, "A message is marked as compressed in a call without grpc-encoding.")
    if not known(coding):
        raise Rejected(Reason.ENCODING, f"grpc-encoding {coding!r} is not supported; send gzip, deflate, zstd or none.")


def _fault_error(fault: Fault, about: str, max_bytes: int) -> Rejected:
    reasons = {
        Fault.METHOD: (Reason.METHOD, f"{about} is not supported here; gRPC calls are POST."),
        Fault.MEDIA_TYPE: (Reason.MEDIA_TYPE, f"Content-Type {about!r} is not supported; send application/grpc."),
        Fault.PATH: (Reason.METHOD, f"There is no method {about!r} here; traces go to {_PATHS[0]}."),
        Fault.HEADERS_TOO_LARGE: (Reason.TOO_LARGE, "The call's metadata is too large."),
        Fault.TOO_LARGE: (Reason.TOO_LARGE, f"The message is larger than {max_bytes} bytes; send smaller batches."),
        Fault.NO_MESSAGE: (Reason.MALFORMED, "The call ended without a message."),
        Fault.CUT: (Reason.MALFORMED, "The call ended without a whole message."),
        Fault.SECOND_MESSAGE: (Reason.MALFORMED, "The call has more than one message."),
        Fault.TWICE: (Reason.MALFORMED, f"The call has the field {about!r} twice; send it once."),
        Fault.BAD_FLAG: (
            Reason.MALFORMED,
            "The message begins with neither 0 nor 1, which say whether it is compressed.",
        ),
    }
    return Rejected(*reasons[fault])


def _trailers(error: SpanmeterError) -> Sequence[tuple[bytes, bytes]]:
    """Most refusals say the same: the sentence of one costs as much as many calls."""
    key = type(error), getattr(error, "reason", None), getattr(error, "retry_after", None), str(error)
    found = _encoded.get(key)
    if found is None:
        if len(_encoded) >= _MAX_ENCODED:
            _encoded.clear()
        found = _encoded[key] = _encode(error)
    return found


_MAX_ENCODED = 128
_encoded: dict[tuple[object, ...], Sequence[tuple[bytes, bytes]]] = {}


def _encode(error: SpanmeterError) -> Sequence[tuple[bytes, bytes]]:
    details = status(error)
    message = str(error)[:_MAX_MESSAGE_LENGTH]
    fields = [
        (b"grpc-status", b"%d" % wire(error).grpc),
        (b"grpc-message", quote(message, safe=_UNENCODED, errors="replace").encode()),
    ]
    if details.details:
        fields.append((b"grpc-status-details-bin", base64.b64encode(details.SerializeToString()).rstrip(b"=")))
    if getattr(error, "reason", None) is Reason.ENCODING:
        fields.append(_ACCEPTED_CODINGS)
    return fields
