"""The native decode of logs equals the reference, on plain requests and on odd ones."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import fingerprint, logs
from collector.errors import Rejected
from collector.model.envelope import Envelope, Signal
from collector.model.log_columns import LOG_SCHEMA
from tests.support import generated
from tests.support.otlp import attributes, field_bytes
from tests.support.signals import log_request, record

Decode = Callable[[Sequence[Envelope]], pa.RecordBatch]

RESOURCE = field_bytes(1, field_bytes(1, attributes({"service.name": "s", "session.id": "r"})[0].SerializeToString()))
SESSION = field_bytes(1, field_bytes(1, attributes({"session.id": "r"})[0].SerializeToString()))
SCOPE = field_bytes(1, field_bytes(1, b"scope") + field_bytes(2, b"1"))
RECORD = record("x", {"k": [1, {"b": 2.5}]}, trace_id=b"\x01" * 16, event_name="e").SerializeToString()
RECORDS = field_bytes(2, RECORD)
ANY_TEXT = field_bytes(1, b"a")


def wrapped(*resource_logs: bytes) -> bytes:
    return b"".join(field_bytes(1, one) for one in resource_logs)


ODD = {
    "empty": b"",
    "no resource": wrapped(field_bytes(2, RECORDS)),
    "resource after its records": wrapped(field_bytes(2, SCOPE + RECORDS) + RESOURCE),
    "session of the resource, after": wrapped(field_bytes(2, SCOPE + RECORDS) + SESSION),
    "resource twice": wrapped(RESOURCE + field_bytes(2, RECORDS) + SESSION),
    "scope after its records": wrapped(field_bytes(2, RECORDS + SCOPE + RECORDS)),
    "scope twice": wrapped(field_bytes(2, SCOPE + RECORDS + SCOPE)),
    "schema urls": wrapped(
        field_bytes(3, b"a") + field_bytes(2, RECORDS + field_bytes(3, b"x")) + field_bytes(3, b"b")
    ),
    "resource without records": wrapped(RESOURCE, RESOURCE + field_bytes(2, SCOPE), field_bytes(2, RECORDS)),
    "body twice": wrapped(field_bytes(2, field_bytes(2, RECORD + field_bytes(5, ANY_TEXT)))),
    "two kinds of a value": wrapped(field_bytes(2, field_bytes(2, field_bytes(5, ANY_TEXT + b"\x18\x05")))),
    "a boolean of two": wrapped(field_bytes(2, field_bytes(2, field_bytes(5, b"\x10\x02")))),
    "long varints": wrapped(field_bytes(2, field_bytes(2, b"\x10\x89\x80\x00" + field_bytes(5, b"\x18\x85\x80\x00")))),
    "negative severity": wrapped(field_bytes(2, field_bytes(2, b"\x10" + b"\xff" * 9 + b"\x01"))),
    "unknown fields": field_bytes(77, b"x")
    + wrapped(RESOURCE + b"\xf8\x06\x01" + field_bytes(2, b"\xfd\x7f1234" + RECORDS)),
    "a group": wrapped(RESOURCE + field_bytes(2, RECORDS) + b"\xbb\x06\x08\x01\xbc\x06"),
    "equal records": wrapped(
        RESOURCE + field_bytes(2, SCOPE + RECORDS * 3), RESOURCE + field_bytes(2, SCOPE + RECORDS)
    ),
    "malformed": wrapped(RESOURCE)[:-1],
    "no utf-8": wrapped(field_bytes(2, field_bytes(2, field_bytes(3, b"\xff")))),
}


def native() -> Decode:
    return pytest.importorskip("collector.decode._kernel", exc_type=ImportError).decode_logs  # type: ignore[no-any-return]


def envelopes(*bodies: bytes) -> list[Envelope]:
    return [Envelope(f"p{n}", 10**18 + n, 0, body, signal=Signal.LOGS) for n, body in enumerate(bodies)]


def outcome(decode: Decode, contents: list[Envelope]) -> Any:
    try:
        return decode(contents)
    except Rejected as refused:
        return refused.reason, str(refused)


def check(*bodies: bytes) -> None:
    contents = envelopes(*bodies)
    expected, found = outcome(logs.decode_logs, contents), outcome(native(), contents)
    if isinstance(expected, tuple) or isinstance(found, tuple):
        assert found == expected
        return
    found.validate(full=True)
    assert found.schema == LOG_SCHEMA
    assert found.equals(expected), (found.to_pylist(), expected.to_pylist())


@pytest.mark.parametrize("name", ODD)
def test_odd_requests(name: str) -> None:
    check(ODD[name])
    if name not in ("malformed", "no utf-8"):
        check(ODD["equal records"], ODD[name], ODD["no resource"])


@settings(max_examples=300)
@given(st.lists(generated.log_requests, max_size=3))
def test_any_requests(messages: list[Any]) -> None:
    check(*[message.SerializeToString() for message in messages])


@settings(max_examples=200)
@given(generated.log_requests, st.data())
def test_requests_with_a_byte_changed(message: Any, data: st.DataObject) -> None:
    body = bytearray(message.SerializeToString())
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check(bytes(body))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_texts_of_any_length(text: bytes) -> None:
    """Through the fingerprint of a body of bytes."""
    check(log_request(record(text)).SerializeToString())
    assert fingerprint.xxh64(text, 7) == fingerprint.value(record(text).body)


# What rows say at the same place: equal, of equal length, of another kind, nested, with the key of its neighbour.
PAIRS = [
    ("a", "one"),
    ("a", "two"),
    ("b", "one"),
    ("a", 1),
    ("a", 2.5),
    ("", ""),
    ("n", [1, {"x": "one"}]),
    ("é", "ü" * 40),
]


@given(st.lists(st.lists(st.sampled_from(PAIRS), max_size=4), max_size=8), st.integers(0, 8))
def test_rows_that_repeat_attributes_of_the_row_before(rows: list[list[tuple[str, Any]]], cut: int) -> None:
    records = [record("x") for _ in rows]
    for made, pairs in zip(records, rows, strict=True):
        made.attributes.extend(pair for key, value in pairs for pair in attributes({key: value}))
    check(log_request(*records[:cut]).SerializeToString(), log_request(*records[cut:]).SerializeToString())


def test_rows_with_more_attributes_than_are_remembered() -> None:
    check(log_request(*[record("x", {f"k{n}": n for n in range(100)})] * 3).SerializeToString())


def test_many_equal_records() -> None:
    check(log_request(*[record("tick")] * 200, record("tock")).SerializeToString())


@pytest.mark.parametrize("depth", [1, 50, 100])
def test_nested_to_the_limit(depth: int) -> None:
    value = ANY_TEXT
    for _ in range(depth):
        value = field_bytes(5, field_bytes(1, value))
    check(wrapped(field_bytes(2, field_bytes(2, field_bytes(5, value)))))
