"""Hypothesis strategies for OTLP messages: everything the wire can say about a span, in small."""

import math
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from tests.support.otlp import any_value

texts = st.text(st.characters(codec="utf-8"), max_size=8)
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**63 - 1, 2**63, 2**64 - 1])
doubles = st.floats(width=64, allow_nan=False) | st.just(math.nan)  # JSON has one NaN, whatever its bits
enums = st.integers(-1, 7) | st.sampled_from([-(2**31), 2**31 - 1])

_scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | doubles | st.binary(max_size=6) | texts
_plain = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
_indexes = st.integers(-(2**31), 2**31 - 1).map(lambda index: AnyValue(string_value_strindex=index))
values = _plain.map(any_value) | _indexes
pairs = st.builds(KeyValue, key=texts, value=values) | st.builds(KeyValue, key=texts)
attribute_lists = st.lists(pairs, max_size=3)

trace_ids = st.binary(min_size=16, max_size=16) | st.sampled_from(
    [b"", bytes(16), bytes(8), b"\x01" * 15, b"\x01" * 17]
)
span_ids = st.binary(min_size=8, max_size=8) | st.sampled_from([b"", bytes(8), bytes(16), b"\x01" * 7, b"\x01" * 9])

events = st.builds(
    Span.Event, time_unix_nano=uint64, name=texts, attributes=attribute_lists, dropped_attributes_count=uint32
)
links = st.builds(
    Span.Link, trace_id=trace_ids, span_id=span_ids, trace_state=texts, attributes=attribute_lists, flags=uint32
)
spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids,
    trace_state=texts,
    flags=uint32,
    name=texts,
    kind=enums,
    start_time_unix_nano=uint64,
    end_time_unix_nano=uint64,
    attributes=attribute_lists,
    dropped_attributes_count=uint32,
    events=st.lists(events, max_size=2),
    dropped_events_count=uint32,
    links=st.lists(links, max_size=2),
    dropped_links_count=uint32,
    status=st.builds(Status, code=enums, message=texts),
)
_resource_spans = st.builds(
    ResourceSpans,
    resource=st.builds(Resource, attributes=attribute_lists, dropped_attributes_count=uint32),
    scope_spans=st.lists(
        st.builds(
            ScopeSpans,
            scope=st.builds(InstrumentationScope, name=texts, version=texts, attributes=attribute_lists),
            spans=st.lists(spans, max_size=2),
            schema_url=texts,
        ),
        max_size=2,
    ),
    schema_url=texts,
)
requests: st.SearchStrategy[Any] = st.builds(
    ExportTraceServiceRequest, resource_spans=st.lists(_resource_spans, max_size=2)
)
