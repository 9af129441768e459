"""Is this an OTLP export request, and which of its spans have ids? Parses; builds no rows."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from collector.admit import otlp_json, repair
from collector.errors import Reason, Rejected
from collector.model.envelope import Encoding, Receipt, Signal
from collector.wire.otlp import REQUESTS, parse, parse_checked, valid_ids

try:
    from collector.admit._scan import scan

    NATIVE = True
except ImportError:  # installed without a compiler

    def scan(body: bytes) -> tuple[int, int, list[tuple[int, int, int]]] | None:  # noqa: ARG001
        return None

    NATIVE = False

# Largest request as rows: a few times the largest request as bytes, so that only unusual ones reach it.
MAX_EXPANDED = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Validated:
    """A request in protobuf encoding, the receipt for its sender, and how many of its strings were repaired.

    `expanded` is its size once resource and scope are repeated for each span, as rows have them.
    """

    payload: bytes
    receipt: Receipt
    repaired: int = 0
    expanded: int = 0


@dataclass(frozen=True, slots=True)
class _Spans:
    """The spans of a request: how many have ids, what the others lack, and the bytes they repeat as rows."""

    accepted: int
    repeated: int
    problems: Counter[str]


def validate_traces(body: bytes, encoding: Encoding) -> Validated:
    """Raises Rejected: MALFORMED or TOO_DEEP when `body` is no ExportTraceServiceRequest, TOO_LARGE as rows."""
    payload, repaired = body, 0
    spans = _scanned(body) if encoding is Encoding.PROTOBUF else None
    if spans is None:
        request, payload, repaired = _request(Signal.TRACES, body, encoding)
        spans = _counted(request)
    expanded = len(payload) + spans.repeated
    if expanded > MAX_EXPANDED:
        raise Rejected(
            Reason.TOO_LARGE,
            f"Resource and scope, repeated for each span, make {expanded} bytes of rows, more than {MAX_EXPANDED}; "
            "send smaller batches or fewer resource attributes.",
        )
    return Validated(payload, _receipt(spans), repaired, expanded)


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
    """The parsed request, its protobuf encoding, and how many strings were repaired."""
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


def _scanned(body: bytes) -> _Spans | None:
    """The spans of a protobuf body; None when it takes the protobuf library to find out."""
    scanned = scan(body)
    if scanned is None:
        return None
    accepted, repeated, problems = scanned
    return _Spans(accepted, repeated, Counter({_problem(*_IDS[kind], size): count for kind, size, count in problems}))


def _counted(request: Any) -> _Spans:
    accepted = repeated = 0
    problems: Counter[str] = Counter()
    for resource in request.resource_spans:
        size = resource.resource.ByteSize() + len(resource.schema_url.encode())
        for scope in resource.scope_spans:
            repeated += (size + scope.scope.ByteSize() + len(scope.schema_url.encode())) * len(scope.spans)
            for span in scope.spans:
                if valid_ids(span.trace_id, span.span_id):
                    accepted += 1
                else:
                    problems[_problem_of(span)] += 1
    return _Spans(accepted, repeated, problems)


def _receipt(spans: _Spans) -> Receipt:
    if not spans.problems:
        return Receipt(spans.accepted)
    rejected = spans.problems.total()
    reasons = "; ".join(f"{count} with {problem}" for problem, count in spans.problems.most_common(4))
    total = spans.accepted + rejected
    return Receipt(spans.accepted, rejected, f"{rejected} of {total} spans were not stored: {reasons}.")


_IDS = (("trace id", 16), ("span id", 8))


def _problem_of(span: Any) -> str:
    for (name, size), raw in zip(_IDS, (span.trace_id, span.span_id), strict=True):
        if len(raw) != size or not any(raw):
            return _problem(name, size, len(raw))
    raise Rejected(Reason.INVALID_ID, "A span was refused without a reason.")


def _problem(name: str, size: int, actual: int) -> str:
    """What is wrong with an id of `actual` bytes that should have `size`."""
    if actual == size:
        return f"an all-zero {name}"
    return f"a {name} of {actual} bytes instead of {size}" if actual else f"no {name}"
