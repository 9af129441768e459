"""The write path: gate -> dedupe -> validate -> spool -> receipt. Bytes become durable here."""

from collections.abc import Iterable

from collector.admit.auth import Gate
from collector.admit.dedupe import DedupeWindow
from collector.admit.limits import Limits, Reservation
from collector.admit.validate import Validated, count_items, validate_traces
from collector.errors import Rejected, SpanmeterError, Unavailable
from collector.model.clock import Clock
from collector.model.envelope import Encoding, Envelope, Receipt, Signal, Transport
from collector.model.principal import Principal, Scope
from collector.spool import Spool, SpoolAck
from collector.telemetry import Metrics


class Acceptor:
    """Takes export requests from the receivers. Belongs to the event loop."""

    def __init__(
        self, gate: Gate, limits: Limits, window: DedupeWindow[SpoolAck], spool: Spool, clock: Clock, metrics: Metrics
    ) -> None:
        self._gate = gate
        self._limits = limits
        self._window = window
        self._spool = spool
        self._clock = clock
        self._metrics = metrics
        self._accepted = {
            transport: (metrics.accepted_spans.labels(transport.value), metrics.accepted_bytes.labels(transport.value))
            for transport in Transport
        }

    def admit(self, headers: Iterable[tuple[str, str]]) -> Principal:
        """Who may write. Raises Rejected(UNAUTHENTICATED or FORBIDDEN)."""
        return self._gate.admit(headers, Scope.TRACES_WRITE)

    def reserve(self, size: int = 0) -> Reservation:
        """Memory for a request body, held until it is released. Raises Unavailable(BUSY)."""
        return self._limits.reserve(size)

    def export(
        self, principal: Principal, signal: Signal, body: bytes, encoding: Encoding, transport: Transport
    ) -> tuple[Receipt, SpoolAck | None]:
        """The answer to an export request, to be given once the acknowledgement completes; without one, at once.

        Metrics and logs are checked, counted as not stored, and answered. Raises Rejected for bytes that are no OTLP
        request, Unavailable when they cannot be made durable now.
        """
        if signal is not Signal.TRACES:
            items = count_items(signal, body, encoding)
            self._metrics.not_stored.labels(signal.value, transport.value).inc(items)
            return Receipt(items), None
        digest = self._window.digest(body)
        seen = self._window.find(signal, principal.project, digest)
        if seen:
            return seen.receipt, seen.ack
        try:
            validated = validate_traces(body, encoding)
        except Rejected as error:
            self._metrics.refused_bytes.labels(transport.value, error.reason.value).inc(len(body))
            raise
        receipt, ack = validated.receipt, None
        if receipt.accepted:
            ack = self._spooled(signal, principal.project, validated, digest, len(body), transport)
        else:
            self._count(validated, len(body), transport)
        return receipt, ack

    def _spooled(
        self, signal: Signal, project: str, validated: Validated, digest: bytes, size: int, transport: Transport
    ) -> SpoolAck:
        receipt = validated.receipt

        def completed(failure: Unavailable | None) -> None:
            if failure:
                self._count_failed(failure, receipt.accepted, size, transport)
            else:
                self._count(validated, size, transport)

        envelope = Envelope(project, self._clock.time_ns(), receipt.accepted, validated.payload, digest, signal)
        try:
            ack = self._spool.append(envelope, validated.expanded)
        except Unavailable as error:
            self._count_failed(error, receipt.accepted, size, transport)
            raise
        ack.then(completed)
        self._window.remember(signal, project, digest, receipt, ack)
        return ack

    def refused(self, error: SpanmeterError, signal: Signal, transport: Transport) -> None:
        """Count a request that was answered with an error."""
        if isinstance(error, Rejected | Unavailable):
            self._metrics.refused_requests.labels(signal.value, transport.value, error.reason.value).inc()

    def _count(self, validated: Validated, size: int, transport: Transport) -> None:
        spans, volume = self._accepted[transport]
        spans.inc(validated.receipt.accepted)
        volume.inc(size)
        if validated.receipt.rejected:
            self._metrics.refused_spans.labels(transport.value, "invalid_id").inc(validated.receipt.rejected)
        if validated.repaired:
            self._metrics.repaired_strings.inc(validated.repaired)

    def _count_failed(self, error: Unavailable, spans: int, size: int, transport: Transport) -> None:
        labels = transport.value, error.reason.value
        self._metrics.failed_spans.labels(*labels).inc(spans)
        self._metrics.failed_bytes.labels(*labels).inc(size)
