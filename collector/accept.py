"""The write path on one screen: gate -> validate -> dedupe -> spool -> receipt. Bytes become durable here."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractContextManager

from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits, Reservation
from collector.admit.validate import Validated, count_items, validate_traces
from collector.errors import Rejected, SpanmeterError, Unavailable
from collector.model.clock import Clock
from collector.model.envelope import Encoding, Envelope, Receipt, Signal, Transport
from collector.model.principal import Principal, Scope
from collector.spool import Spool
from collector.telemetry import Metrics


class Acceptor:
    """Takes export requests from the receivers. Belongs to the event loop."""

    def __init__(
        self, gate: Gate, limits: Limits, window: DedupeWindow, spool: Spool, clock: Clock, metrics: Metrics
    ) -> None:
        self._gate = gate
        self._limits = limits
        self._window = window
        self._spool = spool
        self._clock = clock
        self._metrics = metrics

    def admit(self, headers: Iterable[tuple[str, str]]) -> Principal:
        """Who may write. Raises Rejected(UNAUTHENTICATED or FORBIDDEN)."""
        return self._gate.admit(headers, Scope.TRACES_WRITE)

    def reserve(self, size: int = 0) -> AbstractContextManager[Reservation]:
        """Memory for a request body. Raises Unavailable(BUSY)."""
        return self._limits.reserve(size)

    async def export(
        self, principal: Principal, signal: Signal, body: bytes, encoding: Encoding, transport: Transport
    ) -> Receipt:
        """Return once the spans of `body` are durable, or were before.

        Metrics and logs are checked, counted as not stored, and answered. Raises Rejected for bytes that are no OTLP
        request, Unavailable when they cannot be made durable now.
        """
        if signal is not Signal.TRACES:
            items = count_items(signal, body, encoding)
            self._metrics.not_stored.labels(signal.value, transport.value).inc(items)
            return Receipt(items)
        digest = self._window.digest(body)
        seen = self._window.find(principal.project, digest)
        if seen:
            if seen.durable:
                await asyncio.shield(seen.durable)
            return seen.receipt
        try:
            validated = validate_traces(body, encoding)
        except Rejected as error:
            self._metrics.refused_bytes.labels(transport.value, error.reason.value).inc(len(body))
            raise
        if validated.receipt.accepted:
            try:
                await self._make_durable(principal, validated, digest)
            except Unavailable as error:
                labels = transport.value, error.reason.value
                self._metrics.failed_spans.labels(*labels).inc(validated.receipt.accepted)
                self._metrics.failed_bytes.labels(*labels).inc(len(body))
                raise
        self._count(validated, len(body), transport)
        return validated.receipt

    async def _make_durable(self, principal: Principal, validated: Validated, digest: bytes) -> None:
        receipt = validated.receipt
        envelope = Envelope(principal.project, self._clock.time_ns(), receipt.accepted, validated.payload, digest)
        durable = self._spool.append(envelope, validated.expanded)
        self._window.remember(principal.project, digest, receipt, durable)
        await asyncio.shield(durable)  # a client that hangs up does not undo what its retry will ask for

    def refused(self, error: SpanmeterError, signal: Signal, transport: Transport) -> None:
        """Count a request that was answered with an error."""
        if isinstance(error, Rejected | Unavailable):
            self._metrics.refused_requests.labels(signal.value, transport.value, error.reason.value).inc()

    def _count(self, validated: Validated, size: int, transport: Transport) -> None:
        metrics, receipt = self._metrics, validated.receipt
        metrics.accepted_spans.labels(transport.value).inc(receipt.accepted)
        metrics.accepted_bytes.labels(transport.value).inc(size)
        if receipt.rejected:
            metrics.refused_spans.labels(transport.value, "invalid_id").inc(receipt.rejected)
        if validated.repaired:
            metrics.repaired_strings.inc(validated.repaired)
