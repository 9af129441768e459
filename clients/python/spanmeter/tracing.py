"""The lease of a run on its spans, where OpenTelemetry is installed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

try:
    from opentelemetry import baggage, context
except ImportError:
    _HAS_OPENTELEMETRY = False
else:
    _HAS_OPENTELEMETRY = True

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span, SpanProcessor

LEASE_ATTRIBUTE = "spanmeter.lease"


def LeaseSpanProcessor() -> SpanProcessor:  # noqa: N802 - stands for a class
    """An OpenTelemetry SDK span processor that puts the lease of the current run on every span it starts."""
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415 - only where the SDK is in use

    class Processor(SpanProcessor):
        def on_start(self, span: Span, parent_context: Context | None = None) -> None:
            lease_id = baggage.get_baggage(LEASE_ATTRIBUTE, parent_context)
            if lease_id:
                span.set_attribute(LEASE_ATTRIBUTE, str(lease_id))

    return Processor()


@contextlib.contextmanager
def lease_in_baggage(lease_id: str) -> Iterator[None]:
    """The block runs with the lease in OpenTelemetry baggage. Without OpenTelemetry or a lease, it just runs."""
    if not (_HAS_OPENTELEMETRY and lease_id):
        yield
        return
    token = context.attach(baggage.set_baggage(LEASE_ATTRIBUTE, lease_id))
    try:
        yield
    finally:
        context.detach(token)
