"""The reference implementation of `decode`, on protobuf messages: what any faster one must equal, byte for byte."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from collector.decode import anyvalue
from collector.decode.builder import ListColumn, MapColumn, MapListColumn
from collector.decode.details import Types, details
from collector.model.columns import DECODED_SCHEMA, END_ATTRIBUTE, LATEST_NS, NANOSECONDS, START_ATTRIBUTE, TEXT
from collector.model.envelope import Envelope, Signal
from collector.model.versions import version_of
from collector.wire.otlp import REQUESTS, SPAN_KINDS, STATUS_CODES, parse_checked, valid_ids

_INT64_MAX = 2**63 - 1
_NO_ID = (b"", bytes(8), bytes(16))
_SPAN_ID = re.compile("[0-9a-fA-F]{16}")

# Logfire's snapshot of an open span is a span of its own, a child of the one it stands for that ends as it starts
# (PendingSpanProcessor in logfire/_internal/tracer.py).
PENDING_ATTRIBUTE, PENDING = "logfire.span_type", "pending_span"
PENDING_PARENT_ATTRIBUTE = "logfire.pending_parent_id"


def decode(envelopes: Sequence[Envelope]) -> pa.RecordBatch:
    """One row per span with valid ids, in the order sent; columns are `model.columns.DECODED_SCHEMA`.

    Timestamps beyond int64 become its maximum. A span whose end precedes its start has Duration 0 and its end in the
    attribute END_ATTRIBUTE; one whose start ClickHouse cannot hold has it in START_ATTRIBUTE. A span that stands for an
    open one has that one's ids.
    Raises Rejected when an envelope's payload does not decode.
    """
    rows = _Rows()
    for envelope in envelopes:
        for resource_spans, scope_spans, spans in _groups(envelope):
            rows.add(envelope, resource_spans, scope_spans, spans)
    return rows.batch()


def one_span(envelope: Envelope, row: int) -> Envelope:
    """An envelope that holds only the span which `decode([envelope])` puts in `row`. Raises IndexError beyond them."""
    request = parse_checked(REQUESTS[Signal.TRACES], envelope.payload)
    places = [
        (resource, scope, position)
        for resource, resource_spans in enumerate(request.resource_spans)
        for scope, scope_spans in enumerate(resource_spans.scope_spans)
        for position, span in enumerate(scope_spans.spans)
        if valid_ids(span.trace_id, span.span_id)
    ]
    # Dropping the others works at any depth; copying the one does not, because protobuf copies by parsing.
    resource, scope, position = places[row]
    _keep_only(request.resource_spans, resource)
    _keep_only(request.resource_spans[0].scope_spans, scope)
    _keep_only(request.resource_spans[0].scope_spans[0].spans, position)
    return Envelope(envelope.project, envelope.received_at, 1, request.SerializeToString(), signal=envelope.signal)


def _keep_only(items: Any, position: int) -> None:
    del items[position + 1 :], items[:position]


def _groups(envelope: Envelope) -> Iterator[tuple[Any, Any, list[Any]]]:
    request = parse_checked(REQUESTS[Signal.TRACES], envelope.payload)
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = [span for span in scope_spans.spans if valid_ids(span.trace_id, span.span_id)]
            if spans:
                yield resource_spans, scope_spans, spans


def _name(names: tuple[str, ...], number: int) -> str:
    """proto3 enums are open: an unknown number has no name, as in the Collector."""
    return names[number] if 0 <= number < len(names) else ""


def _id(raw: bytes) -> str:
    return "" if raw in _NO_ID else raw.hex()


class _Rows:
    """The columns while they grow. What a scope's spans share is appended once and repeated."""

    def __init__(self) -> None:
        self._columns: dict[str, list[Any]] = {}
        self._maps = {name: MapColumn() for name in ("ResourceAttributes", "ScopeAttributes", "SpanAttributes")}
        self._events = (ListColumn(NANOSECONDS), ListColumn(TEXT), MapListColumn())
        self._links = (ListColumn(TEXT), ListColumn(TEXT), ListColumn(TEXT), MapListColumn())

    def add(self, envelope: Envelope, resource_spans: Any, scope_spans: Any, spans: list[Any]) -> None:
        count = len(spans)
        resource, scope = resource_spans.resource, scope_spans.scope
        of_resource = resource, self._maps["ResourceAttributes"].append(resource.attributes)
        self._maps["ResourceAttributes"].repeat(count - 1)
        of_scope = scope, self._maps["ScopeAttributes"].append(scope.attributes)
        self._maps["ScopeAttributes"].repeat(count - 1)
        shared = {
            "ServiceName": _service_name(resource),
            "ScopeName": scope.name,
            "ScopeVersion": scope.version,
            "ResourceSchemaUrl": resource_spans.schema_url,
            "ScopeSchemaUrl": scope_spans.schema_url,
            "Project": envelope.project,
            "ReceivedAt": envelope.received_at,
        }
        for name, value in shared.items():
            self._column(name).extend([value] * count)
        for name, read in _SPAN_FIELDS.items():
            self._column(name).extend(map(read, spans))
        for span in spans:
            self._add_identity(envelope, span)
            types = self._maps["SpanAttributes"].append(span.attributes, _unrepresentable_times(span))
            events, links = self._add_events(span.events), self._add_links(span.links)
            self._column("OtlpDetails").append(details(of_resource, of_scope, span, types, events, links))

    def _add_identity(self, envelope: Envelope, span: Any) -> None:
        """The ids of the span that a span is or stands for, and the version of its row."""
        pending = _is_pending(span)
        own, parent = (_id(span.parent_span_id), _pending_parent(span)) if pending else (span.span_id.hex(), None)
        self._column("SpanId").append(own)
        self._column("ParentSpanId").append(_id(span.parent_span_id) if parent is None else parent)
        ended = span.end_time_unix_nano > 0 and not pending
        self._column("Version").append(version_of(envelope.received_at, ended=ended))

    def _column(self, name: str) -> list[Any]:
        return self._columns.setdefault(name, [])

    def _add_events(self, events: Any) -> list[Types]:
        times, names, attributes = self._events
        types = []
        for event in events:
            times.values.append(min(event.time_unix_nano, _INT64_MAX))
            names.values.append(event.name)
            types.append(attributes.maps.append(event.attributes))
        for column in self._events:
            column.close()
        return types

    def _add_links(self, links: Any) -> list[Types]:
        traces, spans, states, attributes = self._links
        types = []
        for link in links:
            traces.values.append(_id(link.trace_id))
            spans.values.append(_id(link.span_id))
            states.values.append(link.trace_state)
            types.append(attributes.maps.append(link.attributes))
        for column in self._links:
            column.close()
        return types

    def batch(self) -> pa.RecordBatch:
        nested = {
            **{name: column.array() for name, column in self._maps.items()},
            **dict(zip(("Events.Timestamp", "Events.Name", "Events.Attributes"), _arrays(self._events), strict=True)),
            **dict(
                zip(
                    ("Links.TraceId", "Links.SpanId", "Links.TraceState", "Links.Attributes"),
                    _arrays(self._links),
                    strict=True,
                )
            ),
        }
        arrays = [
            nested[field.name] if field.name in nested else pa.array(self._columns.get(field.name, []), field.type)
            for field in DECODED_SCHEMA
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=DECODED_SCHEMA)


def _arrays(columns: Sequence[ListColumn | MapListColumn]) -> list[pa.Array]:
    return [column.array() for column in columns]


_SPAN_FIELDS: dict[str, Callable[[Any], Any]] = {
    "Timestamp": lambda span: min(span.start_time_unix_nano, _INT64_MAX),
    "TraceId": lambda span: span.trace_id.hex(),
    "TraceState": lambda span: span.trace_state,
    "SpanName": lambda span: span.name,
    "SpanKind": lambda span: _name(SPAN_KINDS, span.kind),
    "Duration": lambda span: max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
    "StatusCode": lambda span: _name(STATUS_CODES, span.status.code),
    "StatusMessage": lambda span: span.status.message,
    "TraceFlags": lambda span: span.flags,
    "DroppedAttributesCount": lambda span: span.dropped_attributes_count,
    "DroppedEventsCount": lambda span: span.dropped_events_count,
    "DroppedLinksCount": lambda span: span.dropped_links_count,
}


def _service_name(resource: Any) -> str:
    for pair in resource.attributes:
        if pair.key == "service.name":
            return anyvalue.text(pair.value)
    return ""


def _is_pending(span: Any) -> bool:
    """Whether a span stands for the open one that it names as its parent."""
    if len(span.parent_span_id) != 8 or not any(span.parent_span_id):
        return False
    return _last_text(span, PENDING_ATTRIBUTE) == PENDING


def _pending_parent(span: Any) -> str:
    """The parent of the span that a pending one stands for; "" for a root."""
    text = _last_text(span, PENDING_PARENT_ATTRIBUTE)
    return text.lower() if _SPAN_ID.fullmatch(text) and int(text, 16) else ""


def _last_text(span: Any, key: str) -> str:
    return next((anyvalue.text(pair.value) for pair in reversed(span.attributes) if pair.key == key), "")


def _unrepresentable_times(span: Any) -> Iterator[tuple[str, str]]:
    if span.start_time_unix_nano > LATEST_NS:
        yield START_ATTRIBUTE, str(span.start_time_unix_nano)
    if span.end_time_unix_nano < span.start_time_unix_nano:
        yield END_ATTRIBUTE, str(span.end_time_unix_nano)
