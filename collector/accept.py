"""The write path: gate -> dedupe -> validate -> capture -> spool -> receipt. Bytes become durable here."""

import asyncio
import dataclasses
from collections.abc import Iterable

from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits, RequestLimits, Reservation
from collector.admit.validate import Validated, validate, validate_quickly
from collector.capture import Capture
from collector.errors import Reason, Rejected, SpanmeterError, Unavailable, let_go
from collector.model.clock import Clock
from collector.model.envelope import Encoding, Envelope, Receipt, Repeated, Signal, Transport
from collector.model.principal import Principal, Scope
from collector.spool import Spool, SpoolAck
from collector.telemetry import Metrics


class Acceptor:
    """Takes export requests from the receivers. Belongs to the event loop."""

    def __init__(
        self,
        gate: Gate,
        limits: Limits,
        window: DedupeWindow[SpoolAck],
        spool: Spool,
        clock: Clock,
        metrics: Metrics,
        capture: Capture,
        request_limits: RequestLimits = RequestLimits(),  # noqa: B008 - immutable
    ) -> None:
        self._request_limits = request_limits
        self._gate = gate
        self._limits = limits
        self._unknown_limits = limits.for_unknown()
        self._window = window
        self._spool = spool
        self._clock = clock
        self._metrics = metrics
        self._capture = capture
        self._accepted = {
            (signal, transport): (
                metrics.accepted[signal].labels(transport.value),
                metrics.accepted_bytes.labels(transport.value),
            )
            for signal in Signal
            for transport in Transport
        }

    def admit(self, headers: Iterable[tuple[str, str]]) -> Principal:
        """Who may write. Raises Rejected(UNAUTHENTICATED or FORBIDDEN)."""
        return self._gate.admit(headers, Scope.TRACES_WRITE)

    def reserve(self, size: int = 0) -> Reservation:
        """Memory for a request body, held until it is released. Raises Unavailable(BUSY)."""
        return self._limits.reserve(size)

    def validate(self, project: str, signal: Signal, body: bytes, encoding: Encoding) -> Validated:
        """What is in the body of a request, and of it what may be stored. May be called from any thread.

        Raises Rejected, or Unavailable when what may not be stored cannot be told from the rest.
        """
        validated = validate(signal, body, encoding, self._request_limits)
        return _with_payload(validated, self._capture.apply(signal, project, validated.payload))

    def reserve_unknown(self) -> Reservation:
        """Memory for what a caller holds before anyone has asked who it is; grows as `reserve` does."""
        return self._unknown_limits.reserve()

    @property
    def in_flight_bytes(self) -> int:
        """What is reserved for all callers."""
        return sum(each.statistics().in_flight_bytes for each in (self._limits, self._unknown_limits))

    def export(
        self,
        principal: Principal,
        signal: Signal,
        body: bytes,
        encoding: Encoding,
        transport: Transport,
        validated: Validated | Rejected | Unavailable | None = None,
        identity: bytes = b"",
    ) -> tuple[Receipt, SpoolAck | None] | None:
        """The answer to an export request, to be given once the acknowledgement completes; without one, at once.

        None when looking at `body` could hold the event loop: then it has to be validated in a thread, and exported
        with what that gave. Requests of the same `identity`, by default of the same bytes, are one. Raises Rejected for
        bytes that are no OTLP request or have too much in them, Unavailable when they cannot be made durable now.
        """
        digest = self._window.digest(identity or body)
        seen = self._window.find(signal, principal.project, digest)
        if seen:
            return seen.receipt, seen.ack
        try:
            validated = validated or self._validate_quickly(principal.project, signal, body, encoding)
            if isinstance(validated, SpanmeterError):
                raise validated
        except Rejected as error:
            self._metrics.refused_bytes.labels(transport.value, error.reason.value).inc(len(body))
            raise
        if validated is None:
            return None
        receipt, ack = validated.receipt, None
        if receipt.accepted and validated.payload:
            ack = self._spooled(signal, principal.project, validated, digest, len(body), transport)
        else:
            self._count(signal, validated, len(body), transport)
        return receipt, ack

    def _validate_quickly(self, project: str, signal: Signal, body: bytes, encoding: Encoding) -> Validated | None:
        if not self._capture.quick(project, len(body)):
            return None
        validated = validate_quickly(signal, body, encoding, self._request_limits)
        if validated is None:
            return None
        payload = self._capture.apply_quickly(signal, project, validated.payload)
        return None if payload is None else _with_payload(validated, payload)

    def _spooled(
        self, signal: Signal, project: str, validated: Validated, digest: bytes, size: int, transport: Transport
    ) -> SpoolAck:
        receipt = validated.receipt

        def completed(failure: Unavailable | None) -> None:
            if failure:
                self._count_failed(failure, signal, receipt.accepted, size, transport)
            else:
                self._count(signal, validated, size, transport)

        envelope = Envelope(project, self._clock.time_ns(), receipt.accepted, validated.payload, digest, signal)
        try:
            ack = self._spool.append(envelope, validated.expanded)
        except Unavailable as error:
            self._count_failed(error, signal, receipt.accepted, size, transport)
            raise
        ack.then(completed)
        self._window.remember(signal, project, digest, receipt, ack)
        return ack

    async def record(
        self,
        principal: Principal,
        request: bytes,
        repeated: Repeated | None = None,
        *,
        transport: Transport = Transport.MCP,
    ) -> Receipt:
        """Take traces that somebody states over MCP, or that are our own, in protobuf: durable when this returns.

        What is stated again with its key is not stored again. Raises as `export` does, and Unavailable(BUSY); Rejected
        when a key comes with something else.
        """
        try:
            with self.reserve(len(request)):
                receipt, ack = await self._recorded(principal, request, repeated, transport)
                if ack:
                    await ack
        except SpanmeterError as error:
            self.refused(error, Signal.TRACES, transport)
            raise
        return receipt

    async def _recorded(
        self, principal: Principal, request: bytes, repeated: Repeated | None, transport: Transport
    ) -> tuple[Receipt, SpoolAck | None]:
        identity = b"\0key:" + repeated.key.encode(errors="replace") if repeated else b""
        stated = self._window.digest(identity + b"\0" + repeated.stated) if repeated else b""
        if repeated:
            self._refuse_other(principal.project, self._window.digest(identity), stated)
        asked = principal, Signal.TRACES, request, Encoding.PROTOBUF, transport
        found = self.export(*asked, identity=identity)
        if found is None:
            validated = await asyncio.to_thread(
                self.validate, principal.project, Signal.TRACES, request, Encoding.PROTOBUF
            )
            found = self.export(*asked, validated, identity)
        assert found
        if repeated:
            self._window.remember(Signal.TRACES, principal.project, stated, *found)
        return found

    def _refuse_other(self, project: str, key: bytes, stated: bytes) -> None:
        """Raises Rejected when the key came with something else. After a restart that is not known any more."""
        known = self._window.find(Signal.TRACES, project, key)
        if known and known.ack and not self._window.find(Signal.TRACES, project, stated):
            raise Rejected(
                Reason.MALFORMED,
                "The key was used for another run, and this one was not stored; call again with a key of its own.",
            )

    def refused(self, error: SpanmeterError, signal: Signal, transport: Transport) -> None:
        """Count a request that was answered with an error, and let go what of it the error holds."""
        let_go(error)
        if isinstance(error, Rejected | Unavailable):
            self._metrics.count_refused(signal, transport.value, error.reason, self._clock)

    def _count(self, signal: Signal, validated: Validated, size: int, transport: Transport) -> None:
        items, volume = self._accepted[signal, transport]
        items.inc(validated.receipt.accepted)
        volume.inc(size)
        if validated.receipt.rejected:
            self._metrics.refused_spans.labels(transport.value, "invalid_id").inc(validated.receipt.rejected)
        if validated.repaired:
            self._metrics.repaired_strings.inc(validated.repaired)

    def _count_failed(self, error: Unavailable, signal: Signal, items: int, size: int, transport: Transport) -> None:
        labels = transport.value, error.reason.value
        self._metrics.failed[signal].labels(*labels).inc(items)
        self._metrics.failed_bytes.labels(*labels).inc(size)


def _with_payload(validated: Validated, payload: bytes) -> Validated:
    return validated if payload is validated.payload else dataclasses.replace(validated, payload=payload)
