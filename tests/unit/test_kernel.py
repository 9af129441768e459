"""The native `decode` and `scan`: nothing they say differs from what the protobuf library and the reference say."""

import math
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import reference
from collector.errors import Reason, Rejected
from collector.model.columns import DECODED_SCHEMA, LATEST_NS
from collector.model.envelope import Envelope
from collector.wire.otlp import MAX_DEPTH
from tests.support import captured, generated, odd
from tests.support.native import check_decode, check_scan, envelopes, kernel, scan
from tests.support.otlp import any_value, field_bytes, nested_request, request, span, varint, wrapped

PAYLOADS = [payload for case in captured.CASES for payload in captured.payloads(case)]
SPAN = span({"a": "b"}).SerializeToString()
seeds = st.integers(0, 2**64 - 1).map(Random)


def value_request(value: bytes) -> bytes:
    """A request whose only span has one attribute with the AnyValue `value`."""
    return wrapped(SPAN + field_bytes(9, field_bytes(1, b"k") + field_bytes(2, value)))


def group(number: int, *contents: bytes) -> bytes:
    return varint(number << 3 | 3) + b"".join(contents) + varint(number << 3 | 4)


def resource_request(*resource_spans: bytes) -> bytes:
    """A request whose only ResourceSpans has these fields."""
    return field_bytes(1, b"".join(resource_spans))


RESOURCE = field_bytes(1, field_bytes(1, field_bytes(1, b"service.name") + field_bytes(2, field_bytes(1, b"s"))))
SCOPE = field_bytes(1, field_bytes(1, b"scope"))
SPANS = field_bytes(2, SPAN)
EMPTY_GROUPS = b"".join(varint(99 << 3 | 3) for _ in range(40)) + b"".join(varint(99 << 3 | 4) for _ in range(40))

# Legal on the wire, unusual or unheard of from a library.
ODD = {
    "nothing": b"",
    "no resource": resource_request(field_bytes(2, SPANS)),
    "resource after its spans": resource_request(field_bytes(2, SPANS), RESOURCE),
    "resource twice": resource_request(RESOURCE, field_bytes(2, SPANS), RESOURCE),
    "scope after its spans": resource_request(field_bytes(2, SPANS + SCOPE + SPANS)),
    "scope twice": resource_request(field_bytes(2, SCOPE + SPANS + SCOPE)),
    "schema url twice": resource_request(field_bytes(3, b"one"), field_bytes(2, SPANS + field_bytes(3, b"x")), field_bytes(3, b"")),
    "name twice": wrapped(SPAN + field_bytes(5, b"later")),
    "trace id twice": wrapped(SPAN + field_bytes(1, b"\x02" * 16)),
    "trace id lost": wrapped(SPAN + field_bytes(1, b"")),
    "status twice": wrapped(SPAN + field_bytes(15, field_bytes(2, b"m") + b"\x18\x02") + field_bytes(15, b"\x18\x01")),
    "key twice": wrapped(SPAN + field_bytes(9, field_bytes(1, b"k") + field_bytes(1, b"l"))),
    "value twice": wrapped(SPAN + field_bytes(9, field_bytes(2, b"\x18\x01") + field_bytes(2, b"\x10\x01"))),
    "no value": wrapped(SPAN + field_bytes(9, field_bytes(1, b"k"))),
    "empty attribute": wrapped(SPAN + field_bytes(9, b"")),
    "value before key": wrapped(SPAN + field_bytes(9, field_bytes(2, b"\x18\x01") + field_bytes(1, b"k"))),
    "two members of a oneof": value_request(b"\x18\x01" + field_bytes(1, b"text")),
    "the same member twice": value_request(field_bytes(1, b"a") + field_bytes(1, b"b")),
    "arrays that merge": value_request(field_bytes(5, field_bytes(1, b"\x18\x01")) * 2),
    "arrays that do not merge": value_request(field_bytes(5, field_bytes(1, b"\x18\x01")) + b"\x18\x05" + field_bytes(5, b"")),
    "a profile's index": value_request(b"\x40\x07"),
    "a profile's index for a text": value_request(field_bytes(1, b"text") + b"\x40\x07"),
    "unknown fields everywhere": field_bytes(77, b"x") + resource_request(b"\xf8\x06\x01", field_bytes(2, b"\xfd\x7f1234" + SPANS)),
    "unknown field in a value": value_request(field_bytes(99, b"\xff") + b"\x18\x07"),
    "groups": group(7, b"\x08\x01", group(8), field_bytes(1, b"x")) + wrapped(SPAN + group(5, field_bytes(5, b"\xff"))),
    "groups in groups": wrapped(SPAN + EMPTY_GROUPS),
    "a known number as a group": wrapped(SPAN + group(9, field_bytes(1, b"k"))),
    "text as varint": wrapped(SPAN + b"\x28\x01"),
    "kind as text": wrapped(SPAN + field_bytes(6, b"\x01")),
    "kind beyond 32 bits": wrapped(SPAN + b"\x30" + varint(2**32 + 3)),
    "kind negative": wrapped(SPAN + b"\x30" + varint(2**64 - 1)),
    "time as varint": wrapped(SPAN + b"\x38\x01"),
    "count beyond 32 bits": wrapped(SPAN + b"\x50" + varint(2**64 - 1)),
    "boolean beyond one bit": value_request(b"\x10" + varint(2**40)),
    "long varint": value_request(b"\x18\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
    "varint of ten bytes": value_request(b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    "varint beyond 64 bits": value_request(b"\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
    "long length": value_request(b"\x0a\x83\x80\x80\x00abc"),
    "long tag": value_request(b"\x8a\x80\x80\x00\x03abc"),
    "entity": resource_request(field_bytes(1, field_bytes(3, field_bytes(2, b"t") + field_bytes(3, b"k") + b"\x28\x01")), field_bytes(2, SPANS)),
    "parent of zeros": wrapped(SPAN + field_bytes(4, bytes(8))),
    "parent of many zeros": wrapped(SPAN + field_bytes(4, bytes(16))),
    "parent of odd zeros": wrapped(SPAN + field_bytes(4, bytes(5))),
    "parent of odd length": wrapped(SPAN + field_bytes(4, b"\x01" * 300)),
    "links of odd lengths": wrapped(SPAN + field_bytes(13, field_bytes(1, b"\x01" * 3) + field_bytes(2, bytes(16))) + field_bytes(13, b"")),
    "NUL in text": wrapped(SPAN + field_bytes(5, b"a\x00b") + field_bytes(3, b"\x00")),
    "keys twice in a list": value_request(field_bytes(6, b"".join(field_bytes(1, field_bytes(1, key) + field_bytes(2, bytes([0x18, number]))) for number, key in enumerate((b"b", b"a", b"b", b"", b"a", b"ab"))))),
    "service name of odd kinds": resource_request(field_bytes(1, field_bytes(1, field_bytes(1, b"service.name")) + field_bytes(1, field_bytes(1, b"service.name") + field_bytes(2, b"\x18\x05"))), field_bytes(2, SPANS)),
}  # fmt: skip

# What the library refuses, and what it takes only in newer versions.
BROKEN = {
    "cut": wrapped(SPAN)[:-1],
    "text that is not UTF-8": wrapped(SPAN + field_bytes(5, b"\xff")),
    "surrogate": value_request(field_bytes(1, b"\xed\xa0\x80")),
    "deep text that is not UTF-8": value_request(field_bytes(5, field_bytes(1, field_bytes(1, b"\xc0\x80")))),
    "text that is not UTF-8 under a key that is replaced": value_request(
        field_bytes(6, field_bytes(1, field_bytes(1, b"k") + field_bytes(2, field_bytes(1, b"\xff")))
        + field_bytes(1, field_bytes(1, b"k")))
    ),
    "text that is not UTF-8 in a span without ids": wrapped(field_bytes(9, field_bytes(2, field_bytes(1, b"\xff")))),
    "bad text in an entity": resource_request(field_bytes(1, field_bytes(3, field_bytes(1, b"\xff")))),
    "field 0": wrapped(SPAN + b"\x00\x01"),
    "wire type 6": wrapped(SPAN + b"\x36"),
    "end without a group": wrapped(SPAN + b"\x0c"),
    "group without an end": wrapped(SPAN + b"\x0b\x08\x01"),
    "group with another's end": wrapped(SPAN + b"\x0b\x14"),
    "group that ends outside": field_bytes(1, b"\x0b") + b"\x0c",
    "varint without an end": wrapped(SPAN + b"\x30\xff"),
    "varint of eleven bytes": value_request(b"\x18" + b"\x80" * 10 + b"\x00"),
    "tag of six bytes": value_request(b"\x8a\x80\x80\x80\x80\x00\x03abc"),
    "tag beyond 32 bits": value_request(b"\x8a\x80\x80\x80\x10\x03abc"),
    "length of six bytes": value_request(b"\x0a\x83\x80\x80\x80\x80\x00abc"),
    "length beyond the end": b"\x0a\x7f",
    "length of 2 GiB": b"\x0a\x80\x80\x80\x80\x08",
    "length of 2^63": b"\x0a" + varint(2**63),
    "length of 2^64 - 1": b"\x0a" + varint(2**64 - 1) + b"abc",
    "fixed64 cut": wrapped(SPAN + b"\x39\x01"),
    "fixed32 cut": wrapped(SPAN + b"\x85\x01\x01"),
}  # fmt: skip


@pytest.mark.parametrize("body", ODD.values(), ids=ODD)
def test_odd_bodies_have_the_same_rows(body: bytes) -> None:
    assert check_decode(body) is not None
    check_scan(body)


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_broken_bodies_are_refused_alike(body: bytes) -> None:
    check_decode(body)
    assert scan()(body) is None


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_captured_bodies_have_the_same_rows(number: int) -> None:
    assert check_decode(PAYLOADS[number])
    assert check_scan(PAYLOADS[number])


def test_many_bodies_at_once_have_the_same_rows() -> None:
    assert check_decode() == 0
    assert check_decode(*PAYLOADS, *ODD.values(), *PAYLOADS) is not None
    assert check_decode(*PAYLOADS, *ODD.values(), b"\xff", *BROKEN.values()) is None


def test_bodies_that_only_the_reference_can_read_stay_in_their_place() -> None:
    value = field_bytes(1, b"x") + EMPTY_GROUPS
    for _ in range(MAX_DEPTH):
        value = field_bytes(5, field_bytes(1, value))
    deep = value_request(value)
    spans = check_decode(*PAYLOADS)
    assert spans
    assert check_decode(deep, *PAYLOADS, deep, deep, *PAYLOADS, deep) == 4 + 2 * spans


def test_a_column_beyond_2_gib_is_refused() -> None:
    big = request(*(span() for _ in range(2200)), resource={"big": "x" * 1_000_000})
    with pytest.raises(Rejected, match="2 GiB") as refused:
        kernel()(envelopes(big.SerializeToString()))
    assert refused.value.reason is Reason.TOO_LARGE


@settings(max_examples=300)
@given(generated.requests, generated.requests)
def test_generated_messages_have_the_same_rows(first: Any, second: Any) -> None:
    bodies = first.SerializeToString(), second.SerializeToString()
    assert check_decode(*bodies) is not None
    for body in bodies:
        assert check_scan(body)


@settings(max_examples=300)
@given(seeds)
def test_odd_wire_has_the_same_rows(random: Random) -> None:
    bodies = odd.request(random), odd.request(random)
    check_decode(*bodies)
    for body in bodies:
        check_scan(body)


@settings(max_examples=300)
@given(seeds, st.sampled_from([*PAYLOADS, *ODD.values()]))
def test_damaged_bodies_have_the_same_rows(random: Random, body: bytes) -> None:
    body = odd.damaged(random, body)
    check_decode(body)
    check_scan(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_judged_alike(body: bytes) -> None:
    check_decode(body)
    check_decode(wrapped(SPAN + body))
    check_scan(body)


@pytest.mark.parametrize("lists", [True, False])
@pytest.mark.parametrize("depth", [0, 1, 28, 29, 30, 43, 44, 46, 47, 48, MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1])
def test_values_nested_about_the_limits_have_the_same_rows(depth: int, lists: bool) -> None:
    body = nested_request(depth, lists=lists)
    assert check_decode(body) == 1
    assert check_scan(body) == (depth <= (42 if lists else 28))


DOUBLES = [
    0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308,
    1e-7, 9.99e-7, 1e-6, 1.5e-6, 1e20, 1e21, 123456789012345680000.0, 999999999999999900000.0, 2.0**53, 2.0**53 + 2, 0.1,
    1 / 3, 2.0**-44, 9007199254740993.0, 1e22, 1e23, 4.35, 100.0, 1234.5, 0.30000000000000004,
]  # fmt: skip


def doubles_request(numbers: list[float]) -> bytes:
    """The numbers as attributes, and again within an array."""
    values = [(str(at), number) for at, number in enumerate(numbers)]
    return request(span([*values, ("all", numbers)])).SerializeToString()  # type: ignore[no-any-return]


def test_numbers_are_written_alike() -> None:
    assert check_decode(doubles_request(DOUBLES)) == 1
    powers = [sign * 2.0**power for power in range(-1074, 1024) for sign in (1, -1)]
    tens = [float(f"{digits}e{power}") for power in range(-30, 30) for digits in ("1", "1.5", "9.999999999999999")]
    assert check_decode(doubles_request(powers + tens)) == 1


@settings(max_examples=300)
@given(
    st.lists(st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]), max_size=20)
)
def test_any_number_is_written_alike(numbers: list[float]) -> None:
    assert check_decode(doubles_request(numbers)) == 1


@pytest.mark.parametrize("number", [0, 1, -1, 127, 128, 2**63 - 1, -(2**63)])
def test_integers_are_written_alike(number: int) -> None:
    assert check_decode(request(span({"n": number, "l": [number]})).SerializeToString()) == 1


@given(st.text(), st.binary())
def test_text_and_bytes_in_json_are_written_alike(text: str, data: bytes) -> None:
    text = text.encode(errors="replace").decode()
    assert check_decode(request(span({"l": [text, data], "d": {text: data}, "b": data})).SerializeToString()) == 1


@pytest.mark.parametrize(
    "character", [*map(chr, range(0x21)), '"', "\\", "\x7f", "\x80", "\u2027", "\u2028", "\u2029", "\u202a", "\uffff"]
)
@pytest.mark.parametrize("around", ["", "a", "0123456789abcdef" * 3])
def test_characters_in_json_are_written_alike(character: str, around: str) -> None:
    assert check_decode(request(span({"l": [around + character + around]})).SerializeToString()) == 1


@pytest.mark.parametrize("start", [0, 1, LATEST_NS, LATEST_NS + 1, 2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("end", [0, 1, LATEST_NS, 2**63, 2**64 - 1])
def test_times_are_written_alike(start: int, end: int) -> None:
    item = span(start_time_unix_nano=start, end_time_unix_nano=end, events=[{"time_unix_nano": start}])
    assert check_decode(request(item).SerializeToString()) == 1


@pytest.mark.parametrize("position", range(70))
@pytest.mark.parametrize(
    "piece", [b"\xff", b"\xc2", b"\xe2\x82", b"\xf0\x9f\x98", b"\xed\xbf\xbf", "\u00e9".encode(), "\U0001f600".encode()]
)
def test_text_is_checked_at_every_position(position: int, piece: bytes) -> None:
    body = wrapped(SPAN + field_bytes(5, b"x" * position + piece))
    sound = check_decode(body) is not None
    assert (scan()(body) is not None) == sound


def test_spans_refused_for_many_reasons_are_counted() -> None:
    ids = [{"trace_id": b"\x01" * size} for size in (*range(40), 3)] + [
        {"span_id": b"\x01" * size} for size in range(20)
    ]
    ids += [{"trace_id": bytes(16)}, {"span_id": bytes(8)}]
    body = request(*(span(**fields) for fields in ids)).SerializeToString()
    assert check_scan(body)
    assert check_decode(body) == 2
    many = request(*(span(trace_id=b"\x01" * size) for size in range(200)))
    assert scan()(many.SerializeToString()) is None


@given(generated.requests)
def test_a_scan_measures_what_is_repeated(message: Any) -> None:
    repeated = sum(
        (
            resource.resource.ByteSize()
            + len(resource.schema_url.encode())
            + scope.scope.ByteSize()
            + len(scope.schema_url.encode())
        )
        * len(scope.spans)
        for resource in message.resource_spans
        for scope in resource.scope_spans
    )
    assert scan()(message.SerializeToString())[1] == repeated


@pytest.mark.parametrize("name", DECODED_SCHEMA.names)
def test_a_column_outlives_its_batch(name: str) -> None:
    contents = envelopes(*PAYLOADS)
    column = kernel()(contents).column(name)
    kernel()(contents)  # would reuse memory freed too early
    assert column.equals(reference.decode(contents).column(name))


@pytest.mark.parametrize("project", ["", "p", "\u65e5\u672c", "a\x00b"])
@pytest.mark.parametrize("received_at", [0, 1, 2**63 - 1])
def test_what_an_envelope_adds_is_written_alike(project: str, received_at: int) -> None:
    contents = [Envelope(project, received_at, 2, request(span(), span()).SerializeToString())]
    assert kernel()(contents).equals(reference.decode(contents))


def test_an_attribute_list_may_be_long() -> None:
    body = request(span((str(number), any_value(number)) for number in range(20_000))).SerializeToString()
    assert check_decode(body) == 1
    assert check_scan(body)
