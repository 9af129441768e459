"""The native decode of metrics equals the reference, on plain requests and on odd ones."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import points
from collector.errors import Rejected
from collector.model.envelope import Envelope, Signal
from collector.model.metric_columns import METRIC_SCHEMAS
from tests.support import generated
from tests.support.otlp import attributes, field_bytes
from tests.support.signals import gauge, metric_request, number, one_of_each, total

EACH = metric_request(*one_of_each({"k": 1}, start_time_unix_nano=5))
SCOPE_METRICS = EACH.resource_metrics[0].scope_metrics[0].SerializeToString()
RESOURCE = field_bytes(1, EACH.resource_metrics[0].resource.SerializeToString())
SCOPE = field_bytes(1, field_bytes(1, b"other") + b"\x20\x07")
POINT = number(2, {"k": "v"}).SerializeToString()
POINTS = field_bytes(1, POINT)


def wrapped(*resource_metrics: bytes) -> bytes:
    return b"".join(field_bytes(1, one) for one in resource_metrics)


def of_metric(*fields: bytes) -> bytes:
    return wrapped(field_bytes(2, field_bytes(2, b"".join(fields))))


ODD = {
    "empty": b"",
    "each": EACH.SerializeToString(),
    "resource after its points": wrapped(field_bytes(2, SCOPE_METRICS) + RESOURCE),
    "resource twice": wrapped(RESOURCE + field_bytes(2, SCOPE_METRICS) + RESOURCE),
    "scope twice": wrapped(field_bytes(2, SCOPE_METRICS + SCOPE)),
    "scope after its points": wrapped(field_bytes(2, field_bytes(2, field_bytes(5, POINTS)) + SCOPE)),
    "name after the points": of_metric(field_bytes(5, POINTS), field_bytes(1, b"n"), field_bytes(3, b"u")),
    "temporality after the points": of_metric(field_bytes(7, POINTS + b"\x10\x02\x18\x01")),
    "data twice": of_metric(field_bytes(5, POINTS), field_bytes(5, POINTS)),
    "two kinds of data": of_metric(field_bytes(5, POINTS), field_bytes(7, POINTS)),
    "two values": of_metric(field_bytes(5, field_bytes(1, b"\x21" + b"\x01" * 8 + b"\x31" + b"\x02" * 8))),
    "counts one by one": of_metric(field_bytes(9, field_bytes(1, b"\x31" + b"\x01" * 8 + b"\x31" + b"\x02" * 8))),
    "counts in parts": of_metric(field_bytes(9, field_bytes(1, field_bytes(6, b"\x01" * 8) + b"\x31" + b"\x02" * 8))),
    "counts torn": of_metric(field_bytes(9, field_bytes(1, field_bytes(6, b"\x01" * 7)))),
    "buckets twice": of_metric(
        field_bytes(10, field_bytes(1, field_bytes(8, b"\x08\x05\x10\x01") + field_bytes(8, b"\x12\x02\x03\x04")))
    ),
    "metadata": of_metric(field_bytes(12, field_bytes(1, b"k")), field_bytes(5, POINTS)),
    "metadata that is no utf-8": of_metric(field_bytes(12, field_bytes(1, b"\xff")), field_bytes(5, POINTS)),
    "unknown kind of data": of_metric(field_bytes(99, POINTS), field_bytes(1, b"n")),
    "equal points": metric_request(*[gauge(number(), number())] * 2).SerializeToString(),
    "malformed": EACH.SerializeToString()[:-1],
}


def outcome(decode: Any, bodies: tuple[bytes, ...]) -> Any:
    contents = [Envelope(f"p{n}", 10**18 + n, 0, body, signal=Signal.METRICS) for n, body in enumerate(bodies)]
    try:
        return decode(contents)
    except Rejected as refused:
        return refused.reason, str(refused)


def check(*bodies: bytes) -> None:
    kernel = pytest.importorskip("collector.decode._kernel", exc_type=ImportError)
    expected, found = outcome(points.decode_metrics, bodies), outcome(kernel.decode_metrics, bodies)
    if isinstance(expected, tuple) or isinstance(found, tuple):
        assert found == expected
        return
    for schema, ours, theirs in zip(METRIC_SCHEMAS.values(), found, expected, strict=True):
        ours.validate(full=True)
        assert ours.schema == schema
        assert str(ours.to_pylist()) == str(theirs.to_pylist())  # NaN equals NaN


@pytest.mark.parametrize("name", ODD)
def test_odd_requests(name: str) -> None:
    check(ODD[name])
    if name not in ("malformed", "counts torn", "metadata that is no utf-8"):
        check(ODD["equal points"], ODD[name], ODD["each"])


@settings(max_examples=300)
@given(st.lists(generated.metric_requests, max_size=3))
def test_any_requests(messages: list[Any]) -> None:
    check(*[message.SerializeToString() for message in messages])


@settings(max_examples=300)
@given(generated.metric_requests, st.data())
def test_requests_with_a_byte_changed(message: Any, data: st.DataObject) -> None:
    body = bytearray(message.SerializeToString())
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    check(bytes(body))


@given(st.lists(st.lists(st.sampled_from([("a", 1), ("a", "1"), ("b", "1"), ("a", [1])]), max_size=3), max_size=8))
def test_points_that_repeat_attributes_of_the_point_before(rows: list[list[tuple[str, Any]]]) -> None:
    made = [number(2, {}) for _ in rows]
    for point, pairs in zip(made, rows, strict=True):
        point.attributes.extend(pair for key, value in pairs for pair in attributes({key: value}))
    request = metric_request(gauge(*made[::2]), total(*made[1::2])).SerializeToString()
    check(request, ODD["each"], request)
