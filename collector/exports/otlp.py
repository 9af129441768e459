"""Rows of `otel_traces` as the OTLP request that would store them again: what `decode` does, the other way round.

Not in the table, and so not in the request: entity references of resources, unknown fields, the order of what content
was moved from among its span's attributes, and of keys sent twice with different types all types but one.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from collector.decode.reference import PENDING, PENDING_ATTRIBUTE
from collector.exports.values import key_values
from collector.model.columns import END_ATTRIBUTE, START_ATTRIBUTE
from collector.model.content import moved_content
from collector.wire.otlp import SPAN_KINDS, STATUS_CODES

Row = Mapping[str, Any]
Details = Mapping[str, Any]
Pairs = list[tuple[str, str]]

# A number that has no name, of an enum whose name is not stored because it had none.
_UNNAMED = -1
_MAX_UINT64 = 2**64 - 1

COLUMNS = (
    "Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind", "ServiceName",
    "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes", "Duration", "StatusCode", "StatusMessage",
    "Events.Timestamp", "Events.Name", "Events.Attributes", "Links.TraceId", "Links.SpanId", "Links.TraceState",
    "Links.Attributes", "TraceFlags", "ScopeAttributes", "ResourceSchemaUrl", "ScopeSchemaUrl",
    "DroppedAttributesCount", "DroppedEventsCount", "DroppedLinksCount", "OtlpDetails", "Input", "Output", "InputKey",
    "OutputKey",
)  # fmt: skip


def otlp_request(table: pa.Table) -> Any:
    """An ExportTraceServiceRequest with the spans of `table`, which has at least COLUMNS, in their order."""
    request = ExportTraceServiceRequest()
    places: dict[tuple[Any, ...], Any] = {}
    for row in rows(table):
        details = details_of(row["OtlpDetails"])
        scope_spans = _scope_spans(request, places, row, details)
        scope_spans.spans.append(_span(row, details))
    return request


def rows(table: pa.Table, more: Sequence[str] = ()) -> Iterator[Row]:
    """Every row with COLUMNS and some `more`; times are Unix nanoseconds, maps are lists of pairs."""
    names = (*COLUMNS, *more)
    columns = [_values(table.column(name)) for name in names]
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Times as Unix nanoseconds: Python's end before them."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    elif pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type):
        column = column.cast(pa.list_(pa.int64()))
    values: list[Any] = column.to_pylist()
    return values


@functools.lru_cache(1024)
def details_of(text: str) -> Details:
    """The column OtlpDetails of a row."""
    found: Details = json.loads(text) if text else {}
    return found


def _scope_spans(request: Any, places: dict[tuple[Any, ...], Any], row: Row, details: Details) -> Any:
    """Where the spans of the row's resource and scope go."""
    resource, scope = resource_key(row, details), scope_key(row, details)
    if (resource, scope) not in places:
        if resource not in places:
            places[resource] = _add_resource(request, row, details)
        places[resource, scope] = _add_scope(places[resource], row, details)
    return places[resource, scope]


def resource_key(row: Row, details: Details) -> tuple[Any, ...]:
    """What rows of one resource have in common."""
    return (*_shared(row, details, "Resource"), row["ResourceSchemaUrl"], row["ServiceName"])


def scope_key(row: Row, details: Details) -> tuple[Any, ...]:
    """What rows of one instrumentation scope have in common."""
    return (*_shared(row, details, "Scope"), row["ScopeSchemaUrl"], row["ScopeName"], row["ScopeVersion"])


def _shared(row: Row, details: Details, place: str) -> tuple[Any, ...]:
    name = place.lower()
    dropped = details.get("dropped", {}).get(name, 0)
    return tuple(row[f"{place}Attributes"]), tuple(details.get(name, {}).items()), dropped


def _add_resource(request: Any, row: Row, details: Details) -> Any:
    added = request.resource_spans.add(schema_url=row["ResourceSchemaUrl"])
    added.resource.attributes.extend(key_values(row["ResourceAttributes"], details.get("resource", {})))
    added.resource.dropped_attributes_count = details.get("dropped", {}).get("resource", 0)
    return added


def _add_scope(resource_spans: Any, row: Row, details: Details) -> Any:
    added = resource_spans.scope_spans.add(schema_url=row["ScopeSchemaUrl"])
    added.scope.name, added.scope.version = row["ScopeName"], row["ScopeVersion"]
    added.scope.attributes.extend(key_values(row["ScopeAttributes"], details.get("scope", {})))
    added.scope.dropped_attributes_count = details.get("dropped", {}).get("scope", 0)
    return added


def _span(row: Row, details: Details) -> Any:
    types = details.get("span", {})
    attributes = [*row["SpanAttributes"], *moved_content(*(row[name] for name in _CONTENT))]
    start, end = sent_times(row, attributes, types)
    span_id, parent_id = _ids(row, attributes)
    return Span(
        trace_id=bytes.fromhex(row["TraceId"]),
        span_id=span_id,
        parent_span_id=parent_id,
        trace_state=row["TraceState"],
        flags=row["TraceFlags"],
        name=row["SpanName"],
        kind=_number(SPAN_KINDS, row["SpanKind"]),
        start_time_unix_nano=start,
        end_time_unix_nano=end,
        attributes=key_values(attributes, types),
        dropped_attributes_count=row["DroppedAttributesCount"],
        events=list(events(row, details)),
        dropped_events_count=row["DroppedEventsCount"],
        links=list(links(row, details)),
        dropped_links_count=row["DroppedLinksCount"],
        status=_status(row),
    )


def _status(row: Row) -> Any:
    code: Any = _number(STATUS_CODES, row["StatusCode"])
    return Status(code=code, message=row["StatusMessage"]) if code or row["StatusMessage"] else None


_CONTENT = ("InputKey", "Input", "OutputKey", "Output")


def _number(names: Sequence[str], name: str) -> Any:
    return names.index(name) if name in names else _UNNAMED


def sent_times(row: Row, attributes: Pairs, types: Mapping[str, str]) -> tuple[int, int]:
    """Start and end of a span as sent; takes those that the table noted out of `attributes`."""
    start, noted_end = row["Timestamp"], None
    if END_ATTRIBUTE not in types and not row["Duration"]:
        noted_end = _taken(attributes, END_ATTRIBUTE)
    if START_ATTRIBUTE not in types:
        noted_start = _taken(attributes, START_ATTRIBUTE)
        start = start if noted_start is None else noted_start
    return start, start + row["Duration"] if noted_end is None else noted_end


def _taken(attributes: Pairs, key: str) -> int | None:
    for position in range(len(attributes) - 1, -1, -1):
        name, text = attributes[position]
        if name == key and text.isdecimal() and text.isascii() and int(text) <= _MAX_UINT64:
            del attributes[position]
            return int(text)
    return None


def _ids(row: Row, attributes: Pairs) -> tuple[bytes, bytes]:
    """The ids of a span and its parent. One that stands for an open span is that one's child, as it was sent."""
    own, parent = bytes.fromhex(row["SpanId"]), bytes.fromhex(row["ParentSpanId"])
    kinds = [text for key, text in attributes if key == PENDING_ATTRIBUTE]
    if kinds and kinds[-1] == PENDING:
        return hashlib.sha256(b"pending" + bytes.fromhex(row["TraceId"]) + own).digest()[:8], own
    return own, parent


def events(row: Row, details: Details) -> Iterator[Any]:
    """The events of a span as messages."""
    columns = (row["Events.Timestamp"], row["Events.Name"], row["Events.Attributes"])
    types, dropped = details.get("events", {}), details.get("dropped", {}).get("events", 0)
    for number, (time, name, attributes) in enumerate(zip(*columns, strict=True)):
        yield Span.Event(
            time_unix_nano=time,
            name=name,
            attributes=key_values(attributes, _of(types, number)),
            dropped_attributes_count=_of(dropped, number),
        )


def links(row: Row, details: Details) -> Iterator[Any]:
    """The links of a span as messages."""
    columns = (row["Links.TraceId"], row["Links.SpanId"], row["Links.TraceState"], row["Links.Attributes"])
    types, dropped = details.get("links", {}), details.get("dropped", {}).get("links", 0)
    flags = details.get("link_flags", 0)
    for number, (trace_id, span_id, state, attributes) in enumerate(zip(*columns, strict=True)):
        yield Span.Link(
            trace_id=bytes.fromhex(trace_id),
            span_id=bytes.fromhex(span_id),
            trace_state=state,
            attributes=key_values(attributes, _of(types, number)),
            dropped_attributes_count=_of(dropped, number),
            flags=_of(flags, number),
        )


def _of(values: Any, number: int) -> Any:
    """What a member of the details says of one event or link: a list has one value for each."""
    return values[number] if isinstance(values, list) else values
