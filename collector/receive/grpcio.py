"""OTLP/gRPC on grpcio's asyncio server, where our own HTTP/2 was not compiled. Nothing is decoded before admission.

Three habits close traps of the library. Handlers are stream-unary, because a unary handler is never called for a call
that is half-closed without a message. Per-message decompression is off and done here, because the library inflates
before it checks the size. Every failure is mapped, because a stray exception becomes UNKNOWN and clients drop the data.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from collector.accept import Acceptor
from collector.config import GrpcConfig, TlsConfig
from collector.errors import Reason, Rejected, SpanmeterError, StartError, Unavailable
from collector.model.envelope import Encoding, Signal, Transport
from collector.receive.answers import success_body
from collector.receive.inflate import compression
from collector.receive.offload import Offload
from collector.receive.status import status, wire

log = structlog.get_logger("spanmeter.grpc")

_SERVICES = {
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export": Signal.TRACES,
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export": Signal.METRICS,
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export": Signal.LOGS,
}
_DETAILS = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class OtlpGrpc(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The three Export methods."""

    def __init__(self, acceptor: Acceptor, config: GrpcConfig) -> None:
        self._acceptor = acceptor
        self._offload = Offload(acceptor)
        self._max_bytes = config.max_recv_msg_size_mib * 1024 * 1024
        self._read_timeout = config.read_timeout
        self._handlers = {
            method: grpc.stream_unary_rpc_method_handler(self._exporter(signal)) for method, signal in _SERVICES.items()
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method)

    def _exporter(self, signal: Signal) -> Callable[[object, Any], Awaitable[bytes]]:
        async def export(_: object, context: Any) -> bytes:
            try:
                return await self._export(signal, context)
            except SpanmeterError as error:
                failure = error
            except Exception:  # the last line before UNKNOWN, which clients may not retry
                log.exception("A call failed inside spanmeter; the client is asked to send it again.")
                failure = Unavailable(Reason.STORE, "The server failed to handle this call; send it again.", 5.0)
            self._acceptor.refused(failure, signal, Transport.GRPC)
            await _abort(context, failure)
            raise AssertionError("abort raises")

        return export

    async def _export(self, signal: Signal, context: Any) -> bytes:
        principal = self._acceptor.admit(_headers(context))
        message = await self._message(context)
        with self._acceptor.reserve(len(message)) as reservation:
            coding = compression(message)
            looked = self._offload.look_at(
                principal.project, signal, message, coding, Encoding.PROTOBUF, self._max_bytes, reservation
            )
            body, validated = await looked
            reservation.grow_to(len(message) + (0 if body is message else len(body)))
            outcome = self._acceptor.export(principal, signal, body, Encoding.PROTOBUF, Transport.GRPC, validated)
            assert outcome
            receipt, ack = outcome
            if ack:
                await ack
        return success_body(receipt, signal, Encoding.PROTOBUF)

    async def _message(self, context: Any) -> bytes:
        """The one message of the call. Read by hand: leaving the library's iterator early costs a task a call."""
        try:
            async with asyncio.timeout(self._read_timeout):
                message = await context.read()
        except TimeoutError:
            raise Rejected(Reason.SLOW, f"No message arrived within {self._read_timeout:g} seconds.") from None
        if message is grpc.aio.EOF:
            raise Rejected(Reason.MALFORMED, "The call ended without a whole message.")
        return bytes(message)


def _headers(context: Any) -> Iterator[tuple[str, str]]:
    """The call's metadata but for binary values; costs nothing until someone looks."""
    for key, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            yield key, value


async def _abort(context: Any, error: SpanmeterError) -> None:
    """End the call with the error's code, message and google.rpc.Status."""
    details = status(error)
    trailing = ((_DETAILS, details.SerializeToString()),) if details.details else ()
    await context.abort(_CODES[wire(error).grpc], str(error), trailing_metadata=trailing)


class GrpcServer:
    """The OTLP/gRPC port: exporters, health service, TLS, keepalive. grpcio knows no max_connections."""

    open = refused = 0

    def __init__(self, acceptor: Acceptor, config: GrpcConfig, *, shared: bool = False) -> None:
        self._config = config
        self._server = grpc.aio.server(options=_options(config, shared=shared), handlers=(OtlpGrpc(acceptor, config),))
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self) -> int:
        """Bind and serve; the port taken. Raises StartError when the address cannot be had."""
        try:
            port = int(self._bind())
        except (RuntimeError, OSError) as error:
            raise StartError(f"Cannot listen for OTLP/gRPC on {self._config.endpoint}: {error}.") from None
        if not port:
            raise StartError(f"Cannot listen for OTLP/gRPC on {self._config.endpoint}: the address is in use.")
        await self._server.start()
        await self._set_health(health_pb2.HealthCheckResponse.SERVING)
        return port

    def _bind(self) -> int:
        tls = self._config.tls
        if not tls.enabled:
            return int(self._server.add_insecure_port(self._config.endpoint))
        return int(self._server.add_secure_port(self._config.endpoint, _credentials(tls)))

    async def stop(self, grace: float) -> None:
        """Refuse new calls, and give those in flight `grace` seconds."""
        await self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.stop(grace)

    async def _set_health(self, state: Any) -> None:
        for service in ("", *(method.split("/")[1] for method in _SERVICES)):
            await self._health.set(service, state)


def _credentials(tls: TlsConfig) -> Any:
    assert tls.cert_file
    assert tls.key_file
    try:
        pair = (tls.key_file.read_bytes(), tls.cert_file.read_bytes())
        authority = tls.client_ca_file.read_bytes() if tls.client_ca_file else None
    except OSError as error:
        raise StartError(f"Cannot read the TLS file {error.filename}: {error.strerror}.") from None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


def _options(config: GrpcConfig, *, shared: bool) -> list[tuple[str, int]]:
    server, policy = config.keepalive.server_parameters, config.keepalive.enforcement_policy
    options = [
        ("grpc.max_receive_message_length", config.max_recv_msg_size_mib * 1024 * 1024),
        ("grpc.per_message_decompression", 0),
        ("grpc.max_concurrent_streams", config.max_concurrent_streams),
        ("grpc.so_reuseport", int(shared)),
        ("grpc.keepalive_time_ms", int(server.time * 1000)),
        ("grpc.keepalive_timeout_ms", int(server.timeout * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", int(policy.min_time * 1000)),
        ("grpc.keepalive_permit_without_calls", int(policy.permit_without_stream)),
    ]
    for name, seconds in (
        ("grpc.max_connection_idle_ms", server.max_connection_idle),
        ("grpc.max_connection_age_ms", server.max_connection_age),
        ("grpc.max_connection_age_grace_ms", server.max_connection_age_grace),
    ):
        if seconds:
            options.append((name, int(seconds * 1000)))
    return options
