"""OTLP/HTTP: `/v1/{traces,metrics,logs}` in protobuf and JSON.

Paths match exactly or after any prefix, so that SDKs made for other backends need only their base URL changed.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from urllib.parse import unquote

import httptools
import structlog

from collector.accept import Acceptor
from collector.admit.limits import Reservation
from collector.admit.validate import Validated
from collector.config import HttpConfig
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable
from collector.model.envelope import Encoding, Receipt, Signal, Transport
from collector.model.http_status import http_status, retry_after
from collector.model.principal import Principal
from collector.net.http1.connection import Connection
from collector.net.http1.guard import head_mistake
from collector.net.port import Port
from collector.net.tls import tls_context
from collector.receive.answers import date_line, http_response, success_body
from collector.receive.cors import Cors
from collector.receive.inflate import inflate, known
from collector.receive.offload import Looked, Offload, inflate_quickly
from collector.receive.status import error_body

log = structlog.get_logger("spanmeter.http")

_MEDIA_TYPES = {encoding.value.encode(): encoding for encoding in Encoding}
_CLOSE = b"connection: close\r\n"
_EXTRA = {
    Reason.METHOD: b"allow: POST\r\n",
    Reason.UNAUTHENTICATED: b'www-authenticate: Bearer realm="spanmeter"\r\n',
}
_MAX_PATHS = 256
# Parts of a body up to this size are gathered: each kept by itself would cost several times its bytes.
_SMALL_PART = 4096


class OtlpHttp(Port[Connection]):
    """The OTLP/HTTP port: its connections, their limits, TLS, and an orderly end."""

    def __init__(self, acceptor: Acceptor, config: HttpConfig, *, shared: bool = False) -> None:
        self.acceptor = acceptor
        self.offload = Offload(acceptor)
        self.cors = Cors(config.cors)
        self.max_bytes = int(config.max_request_body_size)
        self.read_header_timeout = config.read_header_timeout
        self.read_timeout = config.read_timeout
        self.idle_timeout = config.idle_timeout
        super().__init__(
            "OTLP/HTTP",
            config.endpoint,
            tls_context(config.tls),
            max_connections=config.max_connections,
            handshake=self.read_header_timeout,
            min_timeout=min(self.read_header_timeout, self.read_timeout, self.idle_timeout),
            shared=shared,
        )
        self._paths: list[tuple[Signal, Sequence[str]]] = [
            (Signal.TRACES, config.traces_url_path),
            (Signal.METRICS, config.metrics_url_path),
            (Signal.LOGS, config.logs_url_path),
        ]
        self._signals: dict[bytes, Signal] = {}

    async def start(self) -> int:
        self._renew_date()
        return await super().start()

    # -- what connections ask -------------------------------------------------------------------------------------

    def _connection(self) -> Connection:
        return Connection(self)

    def exchange(self, connection: Connection) -> "OtlpExchange":
        return OtlpExchange(self, connection)

    def reserve_head(self) -> Reservation:
        return self.acceptor.reserve_unknown()

    def signal(self, url: bytes) -> Signal:
        """What `url` takes. Raises Rejected."""
        found = self._signals.get(url)
        if found is None:
            found = self._find_signal(url)
            if len(self._signals) < _MAX_PATHS:
                self._signals[url] = found
        return found

    def _find_signal(self, url: bytes) -> Signal:
        try:
            path = unquote(httptools.parse_url(url).path.decode("ascii"))
        except (httptools.HttpParserInvalidURLError, AttributeError, UnicodeDecodeError):
            raise Rejected(Reason.MALFORMED, "The request's target is not a URL.") from None
        trimmed = path.rstrip("/")
        for signal, known_paths in self._paths:
            if any(trimmed.endswith(known_path.rstrip("/")) for known_path in known_paths):
                return signal
        raise Rejected(Reason.NOT_FOUND, f"There is nothing at {path!r}; traces go to /v1/traces.")

    def _tick(self) -> None:
        self._renew_date()
        super()._tick()

    def _renew_date(self) -> None:
        self.date = date_line()
        self.successes = {encoding: self._success(encoding) for encoding in Encoding}

    def _success(self, encoding: Encoding) -> bytes:
        return http_response(200, encoding, success_body(Receipt(), Signal.TRACES, encoding), self.date)


class OtlpExchange:
    """One export request and its answer."""

    __slots__ = (
        "_coding",
        "_connection",
        "_encoding",
        "_lines",
        "_method",
        "_parts",
        "_port",
        "_principal",
        "_receipt",
        "_reservation",
        "_signal",
        "_size",
        "answer",
        "expects_continue",
        "last",
    )

    _principal: Principal
    _receipt: Receipt

    def __init__(self, port: OtlpHttp, connection: Connection) -> None:
        self._port = port
        self._connection = connection
        self._encoding: Encoding | None = None
        self._signal = Signal.TRACES
        self._coding = ""
        self._lines = b""
        self._method = b""
        self._parts: list[bytes | bytearray] = []
        self._size = 0
        self._reservation = port.acceptor.reserve()
        self.answer: bytes | None = None
        self.last = False
        self.expects_continue = False

    # -- as the request comes in ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Everything that can be refused before the body is read, is."""
        headers = dict(self._connection.headers)
        expects = headers.get(b"expect", b"").lower() == b"100-continue" and self._connection.version == "1.1"
        # RFC 9112 section 6.1; and whoever was to wait for our word may or may not send the body after a refusal.
        if b"transfer-encoding" in headers and b"content-length" in headers:
            self.last = True
        try:
            self._check(headers)
            self.expects_continue = expects
        except SpanmeterError as error:
            self.last = self.last or expects
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - logged there; the last line before the parser's 400
            self._defect(error)

    def _check(self, headers: dict[bytes, bytes]) -> None:
        port, connection = self._port, self._connection
        self._method = connection.method
        self._encoding = _encoding(headers.get(b"content-type", b""))
        mistake = head_mistake(connection.headers, headers, connection.version)
        if mistake:
            self.last = True
            raise Rejected(Reason.MALFORMED, mistake)
        self._lines = port.cors.lines(headers)
        preflight = port.cors.preflight(self._method, headers, self._lines + port.date)
        if preflight:
            self._reply(preflight)
            return
        self._signal = port.signal(connection.url)
        if self._method != b"POST":
            raise Rejected(Reason.METHOD, f"{self._method.decode()} is not supported here; POST an export request.")
        self._principal = port.acceptor.admit(
            (name.decode("latin-1"), headers[name].decode("latin-1"))
            for name in (b"authorization", b"x-api-key")
            if name in headers
        )
        if self._encoding is None:
            raise Rejected(
                Reason.MEDIA_TYPE,
                f"Content-Type {headers.get(b'content-type', b'').decode('latin-1')!r} is not supported; "
                "send application/x-protobuf or application/json.",
            )
        coding = headers.get(b"content-encoding")
        if coding:
            self._coding = coding.decode("latin-1")
            if not known(self._coding):
                inflate(b"", self._coding, 0)  # says which codings there are
        declared = headers.get(b"content-length")
        if declared and int(declared) > port.max_bytes:
            raise self._too_large()

    def take(self, part: bytes) -> None:
        self._size += len(part)
        try:
            if self._size > self._port.max_bytes:
                raise self._too_large()
            self._reservation.grow_to(self._size)
        except SpanmeterError as error:
            self._refuse(error)
        else:
            self._keep(part)

    def _keep(self, part: bytes) -> None:
        parts = self._parts
        if not parts or len(part) > _SMALL_PART:
            parts.append(part)
        elif isinstance(gathered := parts[-1], bytearray):
            gathered += part
        else:
            parts.append(bytearray(part))

    def end(self) -> None:
        """Hand the body over; the answer comes when it is durable."""
        try:
            self._export()
        except SpanmeterError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - logged there; the last line before the parser's 400
            self._defect(error)

    def _export(self) -> None:
        assert self._encoding
        port = self._port
        parts, self._parts = self._parts, []
        body = bytes(parts[0]) if len(parts) == 1 else b"".join(parts)  # bytes are not copied
        message = body
        plain = inflate_quickly(message, self._coding, port.max_bytes) if self._coding else message
        if plain is None or not self._export_plain(message, plain):
            looked = port.offload.look_at(
                self._principal.project,
                self._signal,
                message,
                self._coding,
                self._encoding,
                port.max_bytes,
                self._reservation,
            )
            looked.add_done_callback(partial(self._looked_at, message))

    def _export_plain(
        self, message: bytes, body: bytes, validated: Validated | Rejected | Unavailable | None = None
    ) -> bool:
        """False when looking at the body takes long."""
        assert self._encoding
        self._reservation.grow_to(len(message) + (0 if body is message else len(body)))
        outcome = self._port.acceptor.export(
            self._principal, self._signal, body, self._encoding, Transport.HTTP, validated
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
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - logged there
            self._defect(error)

    def slow(self) -> None:
        seconds = self._port.read_timeout
        self._refuse(Rejected(Reason.SLOW, f"The request body did not arrive within {seconds:g} seconds."))

    def broken(self, why: str, *, http2: bool) -> None:
        if http2:
            why = "This port speaks HTTP/1.1; OTLP/gRPC, which is HTTP/2, has a port of its own, by default 4317."
        self._refuse(Rejected(Reason.PROTOCOL if http2 else Reason.MALFORMED, why))

    def abandon(self) -> None:
        self._parts.clear()
        self._reservation.release()

    def _too_large(self) -> Rejected:
        return Rejected(
            Reason.TOO_LARGE, f"The request body is larger than {self._port.max_bytes} bytes; send smaller batches."
        )

    # -- answers --------------------------------------------------------------------------------------------------

    def _completed(self, failure: Unavailable | None) -> None:
        if failure:
            self._refuse(failure)
        else:
            self._succeed()

    def _succeed(self) -> None:
        encoding, port = self._encoding, self._port
        assert encoding
        last = self._connection.is_last(self)
        if not (last or self._lines or self._receipt.rejected):
            self._reply(port.successes[encoding])
            return
        lines = port.date + self._lines + (_CLOSE if last else b"")
        self._reply(http_response(200, encoding, success_body(self._receipt, self._signal, encoding), lines))

    def _refuse(self, error: SpanmeterError) -> None:
        port = self._port
        port.acceptor.refused(error, self._signal, Transport.HTTP)
        encoding = self._encoding or Encoding.JSON
        lines = [port.date, self._lines]
        if after := retry_after(error):
            lines.append(f"retry-after: {after}\r\n".encode())
        reason = getattr(error, "reason", None)
        if reason in _EXTRA:
            lines.append(_EXTRA[reason])
        if self._connection.is_last(self):
            lines.append(_CLOSE)
        answer = http_response(http_status(error), encoding, error_body(error, encoding), b"".join(lines))
        if self._method == b"HEAD":
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        self._reply(answer)

    def _defect(self, error: Exception) -> None:
        log.error("A request failed inside spanmeter; the client is asked to send it again.", exc_info=error)
        self._refuse(Unavailable(Reason.STORE, "The server failed to handle this request; send it again.", 5.0))

    def _reply(self, answer: bytes) -> None:
        self._parts.clear()
        self._reservation.release()
        self.answer = answer
        self._connection.answered()


def _encoding(media_type: bytes) -> Encoding | None:
    return _MEDIA_TYPES.get(media_type) or _MEDIA_TYPES.get(media_type.partition(b";")[0].strip().lower())
