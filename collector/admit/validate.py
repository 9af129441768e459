"""Is this an OTLP export request, how much is in it, and which of its spans have ids? Builds no rows."""

import functools
from collections import Counter
from dataclasses import dataclass
from typing import Any

from collector.admit import otlp_json, repair
from collector.admit.limits import RequestLimits
from collector.errors import Reason, Rejected
from collector.model.envelope import Encoding, Receipt, Signal
from collector.wire.otlp import MAX_DEPTH, REQUESTS, parse, parse_checked, valid_ids
from collector.wire.schema import is_item, schema_of

try:
    from collector.admit import _scan as native
except ImportError:  # installed without a compiler
    native = None  # type: ignore[assignment]

NATIVE = native is not None

# Largest request as rows: a few times the largest request as bytes, so that only unusual ones reach it.
MAX_EXPANDED = 256 * 1024 * 1024

# What an element costs in memory between the spool and the store beside its bytes, where they are few: empty events
# and links take about 190 and 300. Those of real spans have 35 bytes each and more.
_ELEMENT_BYTES = 200
_USUAL_BYTES = 16

# Bodies up to this size are looked at on the event loop: natively, which takes about a millisecond, and in Python.
_QUICK_BYTES = 1024 * 1024
_QUICK_BYTES_IN_PYTHON = 16 * 1024

# A JSON document that only Python reads holds the interpreter meanwhile: about 0.1 us for each of these.
_MAX_SEPARATORS = 1_000_000

# Messages that hold each other.
_VALUES = frozenset({"AnyValue", "ArrayValue", "KeyValue", "KeyValueList"})

_SCHEMAS = (
    {signal: native.Schema(schema_of(request.DESCRIPTOR)) for signal, request in REQUESTS.items()} if NATIVE else {}
)


@dataclass(frozen=True, slots=True)
class Validated:
    """A request in protobuf encoding, the receipt for its sender, and how many of its strings were repaired.

    `expanded` is its size once resource and scope (and of points, the metric) are repeated for each item, as rows have
    them, with an allowance for elements that take more memory than they have bytes.
    """

    payload: bytes
    receipt: Receipt
    repaired: int = 0
    expanded: int = 0


@dataclass(frozen=True, slots=True)
class _Items:
    """The items of a request: how many are sound, what the others lack, bytes they repeat as rows, and all elements."""

    accepted: int
    repeated: int
    elements: int
    problems: Counter[str]


_DEFAULT_LIMITS = RequestLimits()


def validate_quickly(
    signal: Signal, body: bytes, encoding: Encoding, limits: RequestLimits = _DEFAULT_LIMITS
) -> Validated | None:
    """`validate`, when that is certain not to hold the event loop for more than some milliseconds; else None."""
    if len(body) > (_QUICK_BYTES if NATIVE else _QUICK_BYTES_IN_PYTHON):
        return None
    validated = _natively(signal, body, encoding, limits) if NATIVE else None
    if validated is None and len(body) <= _QUICK_BYTES_IN_PYTHON:
        validated = _in_python(signal, body, encoding, limits)
    return validated


def validate(signal: Signal, body: bytes, encoding: Encoding, limits: RequestLimits = _DEFAULT_LIMITS) -> Validated:
    """May be called from any thread.

    Raises Rejected: MALFORMED or TOO_DEEP when `body` is no export request of `signal`; TOO_LARGE when it has more than
    `limits` allow, or would be too large as rows.
    """
    validated = _natively(signal, body, encoding, limits) if NATIVE else None
    return validated or _in_python(signal, body, encoding, limits)


def validate_traces(body: bytes, encoding: Encoding, limits: RequestLimits = _DEFAULT_LIMITS) -> Validated:
    """`validate` of an ExportTraceServiceRequest."""
    return validate(Signal.TRACES, body, encoding, limits)


def _natively(signal: Signal, body: bytes, encoding: Encoding, limits: RequestLimits) -> Validated | None:
    """None when only Python can tell. Raises Rejected(TOO_LARGE)."""
    schema = _SCHEMAS[signal]
    try:
        payload = body if encoding is Encoding.PROTOBUF else schema.transcode(body, limits.max_elements, MAX_DEPTH)
        if payload is None:
            return None
        if signal is Signal.TRACES:
            spans = _scanned(payload, limits)
            return _validated(payload, spans) if spans else None
        items, elements, repeated, sound = schema.count(payload, limits.max_items, limits.max_elements)
    except (native.TooManyItemsError, native.TooManyElementsError) as error:
        raise _too_many(limits, items=isinstance(error, native.TooManyItemsError)) from None
    return _validated(payload, _Items(items, repeated, elements, Counter())) if sound else None


def _in_python(signal: Signal, body: bytes, encoding: Encoding, limits: RequestLimits) -> Validated:
    _check_size(signal, body, encoding, limits)
    request, payload, repaired = _request(signal, body, encoding)
    items, elements = _count(request)
    if items > limits.max_items or elements > limits.max_elements:
        raise _too_many(limits, items=items > limits.max_items)
    if signal is Signal.TRACES:
        return _validated(payload, _counted(request, elements), repaired)
    return _validated(payload, _Items(items, _repeated(request)[1], elements, Counter()), repaired)


def _check_size(signal: Signal, body: bytes, encoding: Encoding, limits: RequestLimits) -> None:
    """Before objects are made of a body. Without the native modules there is no way to know."""
    if not NATIVE:
        return
    if encoding is Encoding.JSON:
        if native.json_separators(body) > _MAX_SEPARATORS:
            raise Rejected(
                Reason.TOO_LARGE,
                f"The JSON document has more than {_MAX_SEPARATORS} members and values, and something in it that takes "
                "long to read (a number as a fraction, a name twice, an invalid value); send smaller batches.",
            )
        return
    try:
        _SCHEMAS[signal].count(body, limits.max_items, limits.max_elements)
    except (native.TooManyItemsError, native.TooManyElementsError) as error:
        raise _too_many(limits, items=isinstance(error, native.TooManyItemsError)) from None


def _too_many(limits: RequestLimits, *, items: bool) -> Rejected:
    if items:
        found, setting = f"{limits.max_items} spans, log records or data points", "limits.max_request_items"
    else:
        found, setting = f"{limits.max_elements} spans, events, attributes and values", "limits.max_request_elements"
    return Rejected(
        Reason.TOO_LARGE, f"The request has more than {found}, which `{setting}` allows; send smaller batches."
    )


def _validated(payload: bytes, spans: _Items, repaired: int = 0) -> Validated:
    rows = len(payload) + spans.repeated
    if rows > MAX_EXPANDED:
        raise Rejected(
            Reason.TOO_LARGE,
            f"Resource and scope, repeated for each span, record or point, make {rows} bytes of rows, more than "
            f"{MAX_EXPANDED}; send smaller batches or fewer resource attributes.",
        )
    return Validated(payload, _receipt(spans), repaired, _in_memory(rows, spans.elements))


def _in_memory(size: int, elements: int) -> int:
    return size + max(0, elements - size // _USUAL_BYTES) * _ELEMENT_BYTES


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


def _scanned(body: bytes, limits: RequestLimits) -> _Items | None:
    """The spans of a protobuf body; None when it takes the protobuf library to find out."""
    scanned = native.scan(body, limits.max_items, limits.max_elements)
    if scanned is None:
        return None
    accepted, repeated, elements, problems = scanned
    counts = Counter({_problem(*_IDS[kind], size): count for kind, size, count in problems})
    return _Items(accepted, repeated, elements, counts)


def _count(request: Any) -> tuple[int, int]:
    """The items and the messages in `request`."""
    items = elements = 0
    waiting = [request]
    while waiting:
        message = waiting.pop()
        items += is_item(message.DESCRIPTOR.name)
        for field, value in message.ListFields():
            if field.message_type:
                inner = value if field.is_repeated else [value]
                elements += len(inner)
                waiting += inner
    return items, elements


def _repeated(message: Any) -> tuple[int, int]:
    """The items in `message`, and the bytes of what they share, as often as there are items that share it."""
    items = repeated = shared = 0
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            shared += len(value.encode())
        for inner in (value if field.is_repeated else [value]) if field.message_type else ():
            found, of_inner = _repeated(inner) if _holds_items(field.message_type) else (0, 0)
            found += is_item(field.message_type.name)
            items, repeated, shared = items + found, repeated + of_inner, shared + (0 if found else inner.ByteSize())
    return items, repeated + shared * items


@functools.cache
def _holds_items(descriptor: Any) -> bool:
    """Whether messages within one of `descriptor` may be items; values within values are none."""
    inner = [field.message_type for field in descriptor.fields if field.message_type]
    return any(is_item(one.name) or (one.name not in _VALUES and _holds_items(one)) for one in inner)


def _counted(request: Any, elements: int) -> _Items:
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
    return _Items(accepted, repeated, elements, problems)


def _receipt(spans: _Items) -> Receipt:
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
