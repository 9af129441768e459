"""decode: one Arrow row for each span with valid ids, nothing lost, nothing moved."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from collector.decode import one_span, reference
from collector.errors import Reason, Rejected
from collector.model.columns import DECODED_SCHEMA, LATEST_NS
from collector.model.envelope import Envelope
from collector.model.versions import version_of
from collector.wire.otlp import MAX_DEPTH
from tests.support import generated
from tests.support.details import details_of
from tests.support.native import Decode, kernel
from tests.support.otlp import (
    KINDS,
    STATUSES,
    any_value,
    attributes,
    nested_request,
    nested_text,
    request,
    span,
    text_of,
)

RECEIVED = 1_760_000_000_123_456_789
INT64_MAX = 2**63 - 1


@pytest.fixture(scope="module", params=["reference", "native"], name="decode")
def decoder(request: pytest.FixtureRequest) -> Decode:
    return kernel() if request.param == "native" else reference.decode


def envelope(message: Any, project: str = "p") -> Envelope:
    return Envelope(project, RECEIVED, 0, message.SerializeToString())


def rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows with times as integers: Python's datetime ends before they do."""
    columns = {}
    for field, column in zip(batch.schema, batch.columns, strict=True):
        if pa.types.is_timestamp(field.type):
            columns[field.name] = column.cast(pa.int64())
        elif pa.types.is_list(field.type) and pa.types.is_timestamp(field.type.value_type):
            columns[field.name] = column.cast(pa.list_(pa.int64()))
        else:
            columns[field.name] = column
    table: list[dict[str, Any]] = pa.table(columns).to_pylist()
    return table


def row(decode: Decode, message: Any) -> dict[str, Any]:
    (only,) = rows(decode([envelope(message)]))
    return only


def is_valid(item: Any) -> bool:
    return len(item.trace_id) == 16 and any(item.trace_id) and len(item.span_id) == 8 and any(item.span_id)


def identifier(raw: bytes) -> str:
    return raw.hex() if any(raw) else ""


def named(names: tuple[str, ...], number: int) -> str:
    return names[number] if number in range(len(names)) else ""


def pairs(items: Any) -> list[tuple[str, str]]:
    return [(pair.key, text_of(pair.value)) for pair in items]


def expected_rows(message: Any, project: str) -> list[dict[str, Any]]:
    """What the request says, by the column catalogue, in the tests' own words."""
    return [
        expected_row(resource, scope, item, project)
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for item in scope.spans
        if is_valid(item)
    ]


def expected_row(resource: Any, scope: Any, item: Any, project: str) -> dict[str, Any]:
    start, end = item.start_time_unix_nano, item.end_time_unix_nano
    extra = []
    if start > LATEST_NS:
        extra.append(("spanmeter.start_time_unix_nano", str(start)))
    if end < start:
        extra.append(("spanmeter.end_time_unix_nano", str(end)))
    services = [text_of(pair.value) for pair in resource.resource.attributes if pair.key == "service.name"]
    return {
        "Timestamp": min(start, INT64_MAX),
        "TraceId": item.trace_id.hex(),
        "SpanId": item.span_id.hex(),
        "ParentSpanId": "" if item.parent_span_id == bytes(8) else identifier(item.parent_span_id),
        "TraceState": item.trace_state,
        "SpanName": item.name,
        "SpanKind": named(KINDS, item.kind),
        "ServiceName": services[0] if services else "",
        "ResourceAttributes": pairs(resource.resource.attributes),
        "ScopeName": scope.scope.name,
        "ScopeVersion": scope.scope.version,
        "SpanAttributes": pairs(item.attributes) + extra,
        "Duration": max(0, end - start),
        "StatusCode": named(STATUSES, item.status.code),
        "StatusMessage": item.status.message,
        "Events.Timestamp": [min(event.time_unix_nano, INT64_MAX) for event in item.events],
        "Events.Name": [event.name for event in item.events],
        "Events.Attributes": [pairs(event.attributes) for event in item.events],
        "Links.TraceId": [identifier(link.trace_id) for link in item.links],
        "Links.SpanId": [identifier(link.span_id) for link in item.links],
        "Links.TraceState": [link.trace_state for link in item.links],
        "Links.Attributes": [pairs(link.attributes) for link in item.links],
        "TraceFlags": item.flags,
        "ScopeAttributes": pairs(scope.scope.attributes),
        "ResourceSchemaUrl": resource.schema_url,
        "ScopeSchemaUrl": scope.schema_url,
        "DroppedAttributesCount": item.dropped_attributes_count,
        "DroppedEventsCount": item.dropped_events_count,
        "DroppedLinksCount": item.dropped_links_count,
        "OtlpDetails": details_of(resource, scope, item),
        "Project": project,
        "ReceivedAt": RECEIVED,
        "Version": version_of(RECEIVED, ended=item.end_time_unix_nano > 0),
    }


OWN, REAL, ABOVE = (bytes([0, 0, 0, 0, 0, 0, 0, number]) for number in (1, 2, 0xAB))


@pytest.mark.parametrize(
    ("attrs", "parent", "ids"),
    [
        ({"logfire.pending_parent_id": ABOVE.hex().upper()}, REAL, (REAL.hex(), ABOVE.hex())),
        ({"logfire.pending_parent_id": "0" * 16}, REAL, (REAL.hex(), "")),
        ({"logfire.pending_parent_id": "none"}, REAL, (REAL.hex(), "")),
        ({}, REAL, (REAL.hex(), "")),
        ({}, b"", (OWN.hex(), "")),
        ({}, bytes(8), (OWN.hex(), "")),
        ({}, b"short", (OWN.hex(), b"short".hex())),
    ],
)
def test_a_pending_span_is_an_open_row_of_its_parent(
    decode: Decode, attrs: dict[str, str], parent: bytes, ids: tuple[str, str]
) -> None:
    pending = {"logfire.span_type": "pending_span", **attrs}
    found = row(decode, request(span(pending, span_id=OWN, parent_span_id=parent)))
    assert (found["SpanId"], found["ParentSpanId"]) == ids
    assert found["Version"] == version_of(RECEIVED, ended=ids[0] == OWN.hex())
    assert dict(found["SpanAttributes"]) == pending


@pytest.mark.parametrize("types", [["span"], ["log"], ["pending_span", "span"], []])
def test_other_spans_of_logfire_are_themselves(decode: Decode, types: list[str]) -> None:
    sent = span([("logfire.span_type", text) for text in types], span_id=OWN, parent_span_id=REAL)
    found = row(decode, request(sent))
    assert (found["SpanId"], found["ParentSpanId"]) == (OWN.hex(), REAL.hex())
    assert found["Version"] == version_of(RECEIVED, ended=True)


@settings(max_examples=200)
@given(generated.requests, generated.requests)
def test_every_row_says_what_was_sent_in_order(decode: Decode, first: Any, second: Any) -> None:
    batch = decode([envelope(first, "one"), envelope(second, "two")])
    assert batch.schema == DECODED_SCHEMA
    assert rows(batch) == expected_rows(first, "one") + expected_rows(second, "two")


@settings(max_examples=75)
@given(generated.requests)
def test_one_span_is_exactly_that_row(decode: Decode, message: Any) -> None:
    whole = envelope(message)
    batch = decode([whole])
    for number in range(batch.num_rows):
        alone = one_span(whole, number)
        assert (alone.project, alone.received_at, alone.items) == (whole.project, whole.received_at, 1)
        assert decode([alone]).equals(batch.slice(number, 1))
    with pytest.raises(IndexError):
        one_span(whole, batch.num_rows)


def test_nothing_gives_an_empty_batch_of_the_schema(decode: Decode) -> None:
    for contents in ([], [envelope(request())], [Envelope("p", RECEIVED, 0, b"")]):
        batch = decode(contents)
        assert batch.num_rows == 0
        assert batch.schema == DECODED_SCHEMA


@pytest.mark.parametrize(
    "ids",
    [
        {"trace_id": b""},
        {"trace_id": bytes(16)},
        {"trace_id": b"\x01" * 15},
        {"trace_id": b"\x01" * 17},
        {"span_id": b""},
        {"span_id": bytes(8)},
        {"span_id": b"\x01" * 7},
        {"span_id": b"\x01" * 16},
    ],
)
def test_spans_without_valid_ids_have_no_row(decode: Decode, ids: dict[str, Any]) -> None:
    batch = decode([envelope(request(span(name="before"), span(**ids), span(name="after")))])
    assert batch.column("SpanName").to_pylist() == ["before", "after"]


def test_a_span_that_ends_before_it_starts_keeps_its_end(decode: Decode) -> None:
    found = row(decode, request(span(start_time_unix_nano=200, end_time_unix_nano=100)))
    assert (found["Timestamp"], found["Duration"]) == (200, 0)
    assert found["SpanAttributes"] == [("spanmeter.end_time_unix_nano", "100")]


@pytest.mark.parametrize("start", [LATEST_NS + 1, INT64_MAX, 2**63, 2**64 - 1])
def test_a_start_the_table_cannot_hold_is_kept_beside_the_attributes(decode: Decode, start: int) -> None:
    found = row(decode, request(span({"a": "b"}, start_time_unix_nano=start, end_time_unix_nano=start)))
    assert found["Timestamp"] == min(start, INT64_MAX)
    assert found["SpanAttributes"] == [("a", "b"), ("spanmeter.start_time_unix_nano", str(start))]


def test_the_last_representable_start_needs_no_attribute(decode: Decode) -> None:
    found = row(decode, request(span(start_time_unix_nano=LATEST_NS, end_time_unix_nano=2**64 - 1)))
    assert found["SpanAttributes"] == []
    assert (found["Timestamp"], found["Duration"]) == (LATEST_NS, 2**64 - 1 - LATEST_NS)


def test_duplicate_attribute_keys_stay_in_order(decode: Decode) -> None:
    found = row(decode, request(span([("k", "1"), ("other", "2"), ("k", "3"), ("k", "1")])))
    assert found["SpanAttributes"] == [("k", "1"), ("other", "2"), ("k", "3"), ("k", "1")]


@pytest.mark.parametrize(("number", "name"), [*enumerate(KINDS), (6, ""), (99, ""), (-1, "")])
def test_kinds_are_open(decode: Decode, number: int, name: str) -> None:
    assert row(decode, request(span(kind=number)))["SpanKind"] == name


@pytest.mark.parametrize(("number", "name"), [*enumerate(STATUSES), (3, ""), (99, ""), (-1, "")])
def test_status_codes_are_open(decode: Decode, number: int, name: str) -> None:
    assert row(decode, request(span(status={"code": number, "message": "m"})))["StatusCode"] == name


@pytest.mark.parametrize(("service", "name"), [("s", "s"), (7, "7"), (["a"], '["a"]'), (None, "")])
def test_the_service_name_is_the_resource_attribute_as_text(decode: Decode, service: Any, name: str) -> None:
    assert row(decode, request(span(), resource={"other": "x", "service.name": service}))["ServiceName"] == name
    assert row(decode, request(span(), resource={}))["ServiceName"] == ""


@pytest.mark.parametrize("lists", [True, False])
def test_values_nested_to_the_limit_are_kept(decode: Decode, lists: bool) -> None:
    deep = Envelope("p", RECEIVED, 1, nested_request(MAX_DEPTH, lists=lists))
    batch = decode([deep])
    assert rows(batch)[0]["SpanAttributes"] == [("k", nested_text(MAX_DEPTH, lists=lists))]
    assert decode([one_span(deep, 0)]).equals(batch)


def test_spans_of_one_scope_share_its_attributes_and_no_others(decode: Decode) -> None:
    message = request(*(span(name=str(number)) for number in range(3)), resource={"service.name": "a", "r": 1})
    other = message.resource_spans.add()
    other.resource.attributes.extend(attributes({"r": any_value(2)}))
    other.scope_spans.add().spans.extend([span(name="3"), span(name="4")])
    found = rows(decode([envelope(message)]))
    assert [item["ResourceAttributes"] for item in found] == [[("service.name", "a"), ("r", "1")]] * 3 + [
        [("r", "2")]
    ] * 2
    assert [item["ServiceName"] for item in found] == ["a"] * 3 + [""] * 2


def test_a_payload_that_does_not_decode_is_rejected(decode: Decode) -> None:
    with pytest.raises(Rejected) as refused:
        decode([envelope(request(span())), Envelope("p", RECEIVED, 1, b"\xff\xff")])
    assert refused.value.reason is Reason.MALFORMED
