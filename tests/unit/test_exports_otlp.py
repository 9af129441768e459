"""The OTLP export of rows is what was sent, types and all, and is stored as the same rows again."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admit import otlp_json as reader
from collector.decode import decode
from collector.exports.otlp import otlp_request
from collector.exports.otlp_json import otlp_json
from collector.exports.values import any_value as read_value
from collector.model.columns import END_ATTRIBUTE
from collector.model.envelope import Envelope
from tests.support import captured, generated
from tests.support.otlp import any_value, request, span
from tests.support.sent import spans_of
from tests.support.stored import ENRICHER

PAYLOADS = [payload for case in captured.CASES for payload in captured.payloads(case)]


def rows(payload: bytes) -> pa.Table:
    """The rows of a payload as they are inserted."""
    reading = ENRICHER.read(decode([Envelope("default", 1_800_000_000_000_000_000, 1, payload)]))
    batch = ENRICHER.finish(reading, np.ones(reading.batch.num_rows, np.bool_))
    return pa.Table.from_batches([batch]).unify_dictionaries()


def same(first: pa.Table, second: pa.Table) -> None:
    """Every row, wherever it is: an export has those of a resource together."""
    assert _by_id(first) == _by_id(second)


def _by_id(table: pa.Table) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    columns = []
    for name in table.column_names:
        column = table.column(name)
        kind = column.type
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.int64())
        elif pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type):
            column = column.cast(pa.list_(pa.int64()))
        columns.append(column.to_pylist())
    for row in zip(*columns, strict=True):
        named = dict(zip(table.column_names, row, strict=True))
        found.setdefault((named["TraceId"], named["SpanId"]), []).append(named)
    return {key: sorted(values, key=repr) for key, values in found.items()}


def round_trip(message: Any) -> Any:
    """The export of the rows of a message, through both encodings."""
    stored = rows(message.SerializeToString())
    exported = otlp_request(stored)
    again = reader.parse(ExportTraceServiceRequest, otlp_json(exported))
    assert again == exported
    same(rows(exported.SerializeToString()), stored)
    return exported


def test_every_captured_payload_is_exported_as_it_was_sent(say: Any) -> None:
    count = 0
    for payload in PAYLOADS:
        sent = ExportTraceServiceRequest.FromString(payload)
        exported = spans_of(round_trip(sent))
        count += len(exported)
        for key, span_sent in spans_of(sent).items():
            if key in exported:  # one that stands for an open span has ids of its own
                assert exported[key] == span_sent
    say(f"OTLP export: {count} captured spans exported as sent, in both encodings, and stored as the same rows")
    assert count > 1000


@settings(max_examples=150)
@given(generated.requests)
def test_whatever_was_sent_is_stored_as_the_same_rows_again(message: Any) -> None:
    round_trip(message)


VALUES = {
    "text": "a", "empty": "", "true": True, "false": False, "zero": 0, "int": -(2**63), "double": 1.0, "half": 0.5,
    "minus zero": -0.0, "nan": math.nan, "inf": -math.inf, "large": 1e21, "tiny": 5e-324, "bytes": b"\x00\xff", "none": None,
    "no bytes": b"", "no array": [], "no list": {}, "array": ["a", "b"], "ints": [1, 2], "doubles": [1.0, 2.5, math.nan],
    "minus zeros": [-0.0, 0], "mixed": ["a", 1, 1.0, b"\x01", None, True, [], {}], "nested": [[1.0], [2.0], ["3"]],
    "list": {"b": 1.0, "a": "x", "": [b"y", {"z": None}]}, "json": '{"a": 1}', "digits": "5", "word": "true",
}  # fmt: skip


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_values_keep_their_types_everywhere(value: Any) -> None:
    item = span({"key": value, "other": "text"})
    item.events.add(name="e").attributes.extend(span({"key": value}).attributes)
    item.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, flags=256).attributes.extend(item.attributes)
    message = request(item, resource={"service.name": "s", "key": value})
    message.resource_spans[0].scope_spans[0].scope.attributes.extend(span({"key": value}).attributes)
    assert spans_of(round_trip(message)) == spans_of(message)


def test_types_that_differ_between_events_and_dropped_counts_are_kept() -> None:
    item = span({})
    for number, value in enumerate([1, 1.5, "1", 2, None]):
        event = item.events.add(name=f"e{number}", time_unix_nano=number, dropped_attributes_count=number)
        event.attributes.extend(span({"key": value, "same": number}).attributes)
    for flags in (0, 0x300):
        item.links.add(trace_id=b"\x01" * 16, span_id=b"\x02" * 8, flags=flags, dropped_attributes_count=7)
    message = request(item)
    message.resource_spans[0].resource.dropped_attributes_count = 3
    message.resource_spans[0].scope_spans[0].scope.dropped_attributes_count = 4
    assert spans_of(round_trip(message)) == spans_of(message)


def test_spans_of_one_shape_have_one_text_of_details() -> None:
    spans = [span({"n": number, "d": number / 2, "t": str(number), "a": [number / 2]}) for number in range(5)]
    for number, item in enumerate(spans):
        for _ in range(number):
            item.events.add(name="e").attributes.extend(span({"n": number}).attributes)
    texts = set(rows(request(*spans).SerializeToString()).column("OtlpDetails").to_pylist())
    assert texts == {
        '{"span":{"a":"[double]","d":"double","n":"int"}}',
        '{"span":{"a":"[double]","d":"double","n":"int"},"events":{"n":"int"}}',
    }


@pytest.mark.parametrize("times", [(5, 3), (2**63, 2**63 + 5), (2**64 - 1, 0), (0, 0)])
def test_times_the_table_cannot_hold_are_exported(times: tuple[int, int]) -> None:
    message = request(span({}, start_time_unix_nano=times[0], end_time_unix_nano=times[1]))
    assert spans_of(round_trip(message)) == spans_of(message)


def test_an_attribute_of_the_senders_own_by_a_name_of_ours_stays() -> None:
    message = request(span({END_ATTRIBUTE: 5}))
    assert spans_of(round_trip(message)) == spans_of(message)


@pytest.mark.parametrize("parent", ["", "00000000000000ab"])
def test_a_span_that_stands_for_an_open_one_does_so_again(parent: str) -> None:
    attributes = {"logfire.span_type": "pending_span", "logfire.pending_parent_id": parent}
    round_trip(request(span(attributes, parent_span_id=b"\x01" * 8)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("int", text) for text in ("", "x", "1_0", "01", "+1", " 1", "9223372036854775808")),
        *(("double", text) for text in ("", "x", "1_0", "1,5", "nan")),
        *(("bool", text) for text in ("", "True", "1")),
        *(("bytes", text) for text in ("x", "____", "AAA")),
        ("none", "x"),
        *(("[]", text) for text in ("", "[", "{}", "[" * 2000, "[1" * 200 + "]" * 200)),
        *(("{}", text) for text in ("", "{", "[]", '{"a":' * 5000)),
        ("[double]", '["x"]'),
        ("[bytes]", '["x"]'),
    ],
)
def test_a_text_that_its_type_cannot_have_is_a_string(kind: str, text: str) -> None:
    assert read_value(text, kind) == any_value(text)
