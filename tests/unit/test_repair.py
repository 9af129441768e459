"""Mending: what protobuf refuses for its text or depth is saved, what is broken is Rejected, and nothing else happens."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admit import repair as repair_module
from collector.admit.repair import repair
from collector.errors import Reason, Rejected
from collector.wire.otlp import MAX_DEPTH, parse_checked
from tests.support import generated
from tests.support.otlp import field_bytes, nested_request, request, span, varint, wrapped

DESCRIPTOR = ExportTraceServiceRequest.DESCRIPTOR
BAD = b"a\xff\xfe\xc0\x80b"
MENDED = BAD.decode(errors="replace")


def mended(body: bytes) -> tuple[Any, int]:
    payload, repaired = repair(DESCRIPTOR, body)
    return parse_checked(ExportTraceServiceRequest, payload), repaired


def refused(body: bytes) -> Rejected:
    with pytest.raises(Rejected) as caught:
        repair(DESCRIPTOR, body)
    return caught.value


@given(generated.requests)
def test_a_sound_request_is_returned_as_it_is(message: Any) -> None:
    body = message.SerializeToString()
    assert repair(DESCRIPTOR, body) == (body, 0)


def test_text_is_mended_wherever_it_is() -> None:
    pair = field_bytes(1, BAD) + field_bytes(2, field_bytes(1, BAD))
    body = (
        field_bytes(1, field_bytes(1, field_bytes(1, pair)) + field_bytes(3, BAD))
        + wrapped(
            span(name="").SerializeToString()
            + field_bytes(5, BAD)
            + field_bytes(3, BAD)
            + field_bytes(9, pair)
            + field_bytes(11, field_bytes(2, BAD))
            + field_bytes(13, field_bytes(3, BAD))
            + field_bytes(15, field_bytes(2, BAD))
        )
        + wrapped(span(name="untouched").SerializeToString())
    )
    message, repaired = mended(body)
    assert repaired == 10
    assert message.resource_spans[0].resource.attributes[0].key == MENDED
    assert message.resource_spans[0].schema_url == MENDED
    found = message.resource_spans[1].scope_spans[0].spans[0]
    assert (found.name, found.trace_state, found.status.message) == (MENDED, MENDED, MENDED)
    assert (found.attributes[0].key, found.attributes[0].value.string_value) == (MENDED, MENDED)
    assert (found.events[0].name, found.links[0].trace_state) == (MENDED, MENDED)
    assert message.resource_spans[2].scope_spans[0].spans[0].name == "untouched"


def test_bytes_are_no_text() -> None:
    raw = span({"raw": BAD}, name="").SerializeToString()
    message, repaired = mended(wrapped(raw + field_bytes(5, BAD)))
    assert repaired == 1
    assert message.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.bytes_value == BAD


def test_unknown_fields_of_every_wire_type_survive() -> None:
    unknown = (
        varint(1000 << 3) + varint(2**64 - 1)
        + varint(1000 << 3 | 1) + b"12345678"
        + field_bytes(1000, BAD)
        + varint(1000 << 3 | 3) + b"\x08\x01" + varint(7 << 3 | 3) + varint(7 << 3 | 4) + varint(1000 << 3 | 4)
        + varint(1000 << 3 | 5) + b"1234"
    )  # fmt: skip
    body = wrapped(field_bytes(5, BAD) + unknown) + unknown
    payload, repaired = repair(DESCRIPTOR, body)
    assert repaired == 1
    assert payload == wrapped(field_bytes(5, MENDED.encode()) + unknown) + unknown


@pytest.mark.parametrize("lists", [True, False])
def test_depth(lists: bool) -> None:
    body = nested_request(MAX_DEPTH, lists=lists)
    assert repair(DESCRIPTOR, body) == (body, 0)
    assert len(parse_checked(ExportTraceServiceRequest, body).resource_spans) == 1
    for depth in (MAX_DEPTH + 1, 1000, 20_000):
        assert refused(nested_request(depth, lists=lists)).reason is Reason.TOO_DEEP


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff\xff\xff",
        b"\x0a",
        b"\x0a\x7fabc",
        b"\x0a" + b"\x80" * 11 + b"\x01",
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x02\x01a",
        b"\x00\x01",
        b"\x0f\x00",
        b"\x0e\x00",
        b"\x0c",
        b"\x9b\x06\x08\x01",
        b"\x9b\x06\x9b\x06",
        b"\x9b\x06\xa4\x06",
        b"\x09\x00",
        b"\x0d\x00",
        b"\x12\x05ab",
        b"hello world",
        wrapped(field_bytes(5, b"n"))[:-1],
        wrapped(b"\x0a"),
    ],
)
def test_broken_bytes_are_refused_in_a_sentence(body: bytes) -> None:
    error = refused(body)
    assert error.reason is Reason.MALFORMED
    assert str(error).startswith("The body is not an ExportTraceServiceRequest in protobuf encoding (at byte ")


def test_deep_unknown_groups_are_walked_without_recursion() -> None:
    deep = 20_000
    body = b"\x9b\x06" * deep + b"\x9c\x06" * deep
    assert repair(DESCRIPTOR, body) == (body, 0)
    assert refused(body[:-2]).reason is Reason.MALFORMED


def test_a_body_with_too_many_fields_to_look_at_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair_module, "_MAX_FIELDS", 50)
    body = request(*(span(name="x") for _ in range(10))).SerializeToString()
    error = refused(body)
    assert error.reason is Reason.MALFORMED
    assert "too large to be repaired" in str(error)


def outcome(body: bytes) -> None:
    """Rejected, or a payload that every later stage can parse unless protobuf itself finds it broken."""
    try:
        payload, repaired = repair(DESCRIPTOR, body)
    except Rejected as error:
        reason = error.reason
        assert reason in (Reason.MALFORMED, Reason.TOO_DEEP)
        return
    assert (payload == body) == (repaired == 0)
    try:
        parse_checked(ExportTraceServiceRequest, payload)
    except Rejected as error:
        reason = error.reason
        assert reason is Reason.MALFORMED


@settings(max_examples=300)
@given(st.binary(max_size=80))
@example(b"\x9b\x06\x9c\x06")
def test_arbitrary_bytes(body: bytes) -> None:
    outcome(body)


@settings(max_examples=300)
@given(generated.requests, st.data())
def test_mutated_requests(message: Any, data: st.DataObject) -> None:
    body = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        if not body:
            break
        at = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert", "drop"])):
            case "set":
                body[at] = data.draw(st.integers(0, 255))
            case "cut":
                del body[at:]
            case "insert":
                body[at:at] = data.draw(st.binary(max_size=4))
            case _:
                del body[at]
    outcome(bytes(body))


@settings(max_examples=200)
@given(st.binary(max_size=20), st.binary(max_size=20), st.binary(max_size=20))
def test_text_of_any_bytes_is_mended_as_decoders_do(name: bytes, key: bytes, value: bytes) -> None:
    pair = field_bytes(1, key) + field_bytes(2, field_bytes(1, value))
    message, repaired = mended(wrapped(field_bytes(5, name) + field_bytes(9, pair)))
    found = message.resource_spans[0].scope_spans[0].spans[0]
    sent = (name, key, value)
    assert (found.name, found.attributes[0].key, found.attributes[0].value.string_value) == tuple(
        raw.decode(errors="replace") for raw in sent
    )
    assert repaired == sum(raw.decode(errors="replace").encode() != raw for raw in sent)
