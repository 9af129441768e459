"""Is this an OTLP export request, and which of its spans have ids? Parses; builds no rows."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from collector.admit import otlp_json, repair
from collector.errors import Reason, Rejected
from collector.model.envelope import Encoding, Receipt, Signal
from collector.model.otlp import REQUESTS, parse, parse_checked, valid_ids

# Largest request as rows: a few times the largest request as bytes, so that only odd ones meet it.
MAX_EXPANDED = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Validated:
    """A request in protobuf encoding, what its sender is told, and how many of its strings were mended.

    `expanded` is its size once resource and scope are repeated for each span, as rows have them.
    """

    payload: bytes
    receipt: Receipt
    repaired: int = 0
    expanded: int = 0


def validate_traces(body: bytes, encoding: Encoding) -> Validated:
    """Raises Rejected: MALFORMED or TOO_DEEP when `body` is no ExportTraceServiceRequest, TOO_LARGE as rows."""
    request, payload, repaired = _request(Signal.TRACES, body, encoding)
    expanded = len(payload) + _repeated(request)
    if expanded > MAX_EXPANDED:
        raise Rejected(
            Reason.TOO_LARGE,
            f"Resource and scope, repeated for each span, make {expanded} bytes of rows, more than {MAX_EXPANDED}; "
            "send smaller batches or fewer resource attributes.",
        )
    return Validated(payload, _receipt(request), repaired, expanded)


def count_items(signal: Signal, body: bytes, encoding: Encoding) -> int:
    """Log records or metric data points in `body`. Raises Rejected like `validate_traces`."""
    request, _, _ = _request(signal, body, encoding)
    if signal is Signal.LOGS:
        return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)
    return sum(
        _data_points(metric)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def _data_points(metric: Any) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0


def _request(signal: Signal, body: bytes, encoding: Encoding) -> tuple[Any, bytes, int]:
    """The parsed request, its protobuf encoding, and how many strings were mended."""
    message = REQUESTS[signal]
    if encoding is Encoding.JSON:
        request = otlp_json.parse(message, body)
        return request, request.SerializeToString(), 0
    try:
        return parse(message, body), body, 0
    except Rejected:
        # Rare: deeper than protobuf's own limit, text that is not UTF-8, or no protobuf at all.
        payload, repaired = repair.repair(message.DESCRIPTOR, body)
        return parse_checked(message, payload), payload, repaired


def _repeated(request: Any) -> int:
    """Bytes of resource and scope, as often as there are spans of them."""
    total = 0
    for resource in request.resource_spans:
        size = resource.resource.ByteSize()
        for scope in resource.scope_spans:
            total += (size + scope.scope.ByteSize()) * len(scope.spans)
    return total


def _receipt(request: Any) -> Receipt:
    accepted = 0
    problems: Counter[str] = Counter()
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if valid_ids(span.trace_id, span.span_id):
                    accepted += 1
                else:
                    problems[_problem(span)] += 1
    if not problems:
        return Receipt(accepted)
    rejected = problems.total()
    reasons = "; ".join(f"{count} with {problem}" for problem, count in problems.most_common(4))
    return Receipt(accepted, rejected, f"{rejected} of {accepted + rejected} spans were not stored: {reasons}.")


def _problem(span: Any) -> str:
    for name, raw, size in (("trace id", span.trace_id, 16), ("span id", span.span_id, 8)):
        if len(raw) != size:
            return f"a {name} of {len(raw)} bytes instead of {size}" if raw else f"no {name}"
        if not any(raw):
            return f"an all-zero {name}"
    raise Rejected(Reason.INVALID_ID, "A span was refused without a reason.")
