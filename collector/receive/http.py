"""OTLP/HTTP: `/v1/{traces,metrics,logs}` in protobuf and JSON, as raw ASGI.

Paths match exactly or after any prefix, so that SDKs made for other backends need only their base URL changed.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
from starlette.middleware.cors import CORSMiddleware

from collector.accept import Acceptor
from collector.admit.limits import Reservation
from collector.config import HttpConfig
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.envelope import Encoding, Signal, Transport
from collector.receive.answers import success_body
from collector.receive.inflate import inflate, known
from collector.receive.status import error_body, retry_after, wire

log = structlog.get_logger("spanmeter.http")

AsgiSend = Callable[[dict[str, Any]], Awaitable[None]]
AsgiReceive = Callable[[], Awaitable[dict[str, Any]]]
Headers = dict[str, str]


class ClientGone(Exception):  # noqa: N818
    """The client hung up before its request was whole: there is nobody to answer."""


class OtlpHttp:
    """The ASGI application of the OTLP/HTTP port."""

    def __init__(self, acceptor: Acceptor, config: HttpConfig) -> None:
        self._acceptor = acceptor
        self._max_bytes = int(config.max_request_body_size)
        self._read_timeout = config.read_timeout
        self._paths: list[tuple[Signal, Sequence[str]]] = [
            (Signal.TRACES, config.traces_url_path),
            (Signal.METRICS, config.metrics_url_path),
            (Signal.LOGS, config.logs_url_path),
        ]

    async def __call__(self, scope: dict[str, Any], receive: AsgiReceive, send: AsgiSend) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        encoding = _encoding(headers)
        signal = self._signal(scope["path"])
        try:
            body = await self._answer(scope, headers, signal, encoding, receive)
        except ClientGone:
            return
        except SpanmeterError as error:
            self._acceptor.refused(error, signal or Signal.TRACES, Transport.HTTP)
            await _send_error(send, error, encoding or Encoding.JSON)
        except Exception:  # the last line before a 500, which clients may not retry
            log.exception("A request failed inside spanmeter; the client is asked to send it again.")
            failure = Unavailable(Reason.STORE, "The server failed to handle this request; send it again.", 5.0)
            self._acceptor.refused(failure, signal or Signal.TRACES, Transport.HTTP)
            await _send_error(send, failure, encoding or Encoding.JSON)
        else:
            await _send(send, 200, body, encoding or Encoding.JSON)

    def _signal(self, path: str) -> Signal | None:
        trimmed = path.rstrip("/")
        for signal, known_paths in self._paths:
            if any(trimmed.endswith(known_path.rstrip("/")) for known_path in known_paths):
                return signal
        return None

    async def _answer(
        self,
        scope: dict[str, Any],
        headers: Headers,
        signal: Signal | None,
        encoding: Encoding | None,
        receive: AsgiReceive,
    ) -> bytes:
        """The body of the 200 answer. Everything that can be refused before the body is read, is."""
        if signal is None:
            raise Rejected(Reason.NOT_FOUND, f"There is nothing at {scope['path']!r}; traces go to /v1/traces.")
        if scope["method"] != "POST":
            raise Rejected(Reason.METHOD, f"{scope['method']} is not supported here; POST an export request.")
        if scope["http_version"] == "1.1" and "host" not in headers:
            raise Rejected(Reason.MALFORMED, "An HTTP/1.1 request needs a Host header.")
        principal = self._acceptor.admit(headers.items())
        if encoding is None:
            raise Rejected(
                Reason.MEDIA_TYPE,
                f"Content-Type {headers.get('content-type', '')!r} is not supported; "
                "send application/x-protobuf or application/json.",
            )
        coding = headers.get("content-encoding", "")
        if not known(coding):
            inflate(b"", coding, 0)  # says which codings there are
        with self._acceptor.reserve() as reservation:
            raw = await self._body(headers, receive, reservation)
            body = inflate(raw, coding, self._max_bytes)
            reservation.grow_to(len(raw) + len(body) if body is not raw else len(raw))
            receipt, delivery = self._acceptor.export(principal, signal, body, encoding, Transport.HTTP)
            if delivery:
                await delivery
        return success_body(receipt, signal, encoding)

    async def _body(self, headers: Headers, receive: AsgiReceive, reservation: Reservation) -> bytes:
        declared = headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._read_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientGone
                    part = message.get("body", b"")
                    size += len(part)
                    if size > self._max_bytes:
                        raise self._too_large()
                    reservation.grow_to(size)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return parts[0] if len(parts) == 1 else b"".join(parts)
        except TimeoutError:
            raise Rejected(
                Reason.SLOW, f"The request body did not arrive within {self._read_timeout:g} seconds."
            ) from None

    def _too_large(self) -> Rejected:
        return Rejected(
            Reason.TOO_LARGE, f"The request body is larger than {self._max_bytes} bytes; send smaller batches."
        )


def _encoding(headers: Headers) -> Encoding | None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        return Encoding(media_type)
    except ValueError:
        return None


async def _send_error(send: AsgiSend, error: SpanmeterError, encoding: Encoding) -> None:
    extra: list[tuple[bytes, bytes]] = []
    after = retry_after(error)
    reason = getattr(error, "reason", None)
    if after:
        extra.append((b"retry-after", after.encode()))
    if reason is Reason.METHOD:
        extra.append((b"allow", b"POST"))
    if reason is Reason.UNAUTHENTICATED:
        extra.append((b"www-authenticate", b'Bearer realm="spanmeter"'))
    if reason is Reason.SLOW:
        extra.append((b"connection", b"close"))
    await _send(send, wire(error).http, error_body(error, encoding), encoding, extra)


async def _send(
    send: AsgiSend, status: int, body: bytes, encoding: Encoding, extra: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    headers = [
        (b"content-type", encoding.value.encode()),
        (b"content-length", str(len(body)).encode()),
        *extra,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def otlp_app(acceptor: Acceptor, config: HttpConfig) -> Any:
    """The OTLP/HTTP application, with CORS answered first where browser origins are configured."""
    app = OtlpHttp(acceptor, config)
    cors = config.cors
    if not cors.allowed_origins:
        return app
    origins = "|".join(re.escape(origin).replace(r"\*", ".*") for origin in cors.allowed_origins)
    return CORSMiddleware(
        app,  # type: ignore[arg-type]
        allow_origin_regex=f"(?:{origins})",
        allow_methods=("POST",),
        allow_headers=("content-type", "content-encoding", "authorization", "x-api-key", *cors.allowed_headers),
        max_age=int(cors.max_age),
    )
