"""OTLP/JSON read natively is what the reader in Python makes of it; what is not OTLP is left to that reader."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.admit import otlp_json
from collector.errors import Rejected
from collector.model.envelope import Signal
from collector.wire.otlp import REQUESTS
from tests.support import generated
from tests.support.native import check_transcoding, schema
from tests.support.otlp import json_of

_NUMBERS = [
    "0",
    "-0",
    "7",
    "-7",
    "01",
    "1.0",
    "1.5",
    "-0.0",
    "1e3",
    "1E-400",
    "1e999",
    "9" * 25,
    "9" * 5000,
    "18446744073709551615",
]
_WORDS = ["null", "true", "false", "NaN", "Infinity", "{}", "[]", "[1]", '{"a":[{"b":[]}]}', "", "tru", "-", "1.", ".5"]
_TEXTS = ['"7"', '"-7"', '"NaN"', '"-Infinity"', '"1e3"', '"ff"', '"fF0"', '"/w=="', '""', '"\x01"', '"\x7f"']
_SURROGATES = [r'"\ud83d\ude00"', r'"\ud83dx"', r'"\ude00\ud83d"', r'"\ud83d\ud83d\ude00"']
_ESCAPED = [r'"\/\b\f\n\r\t\"\\"', r'"\x"', r'"\u00zz"', r'"\u0000"', r'"\u00e9"', r'"\u20AC"']
_NAMES = {
    Signal.TRACES: ("name", "kind", "startTimeUnixNano", "traceId", "flags", "status", "attributes", "events", "new"),
    Signal.LOGS: (
        "timeUnixNano",
        "severityNumber",
        "severityText",
        "body",
        "spanId",
        "flags",
        "attributes",
        "eventName",
    ),
    Signal.METRICS: ("name", "gauge", "sum", "histogram", "exponentialHistogram", "summary", "metadata"),
}
_AROUND = {
    Signal.TRACES: '{"resourceSpans":[{"scopeSpans":[{"spans":[@]}]}]}',
    Signal.LOGS: '{"resourceLogs":[{"scopeLogs":[{"logRecords":[@]}]}]}',
    Signal.METRICS: '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[@]}]}]}',
}
_values = st.sampled_from([*_NUMBERS, *_WORDS, *_TEXTS, *_SURROGATES, *_ESCAPED])
_space = st.sampled_from(["", " ", "\n\t", "\r"])


def checked(signal: Signal, body: bytes) -> None:
    """What is transcoded equals what Python reads; what Python refuses is never transcoded."""
    try:
        otlp_json.parse(REQUESTS[signal], body)
    except Rejected:
        assert schema(signal).transcode(body, 1000, 100) is None
    else:
        check_transcoding(signal, body)


@settings(max_examples=200)
@given(generated.requests, st.booleans())
def test_usual_requests_are_transcoded(message: Any, ascii_only: bool) -> None:
    body = json.dumps(json_of(message), ensure_ascii=ascii_only).encode()
    checked(Signal.TRACES, body)


@settings(max_examples=600)
@given(st.sampled_from(Signal), st.data())
def test_every_value_in_every_field(signal: Signal, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(_NAMES[signal]), max_size=3))
    space = data.draw(_space)
    members = f"{space},{space}".join(f'"{name}"{space}:{space}{data.draw(_values)}' for name in names)
    checked(signal, _AROUND[signal].replace("@", f"{{{space}{members}{space}}}").encode())


@settings(max_examples=400)
@given(st.sampled_from(["gauge", "sum", "histogram", "exponentialHistogram", "summary"]), st.data())
def test_every_value_in_data_points(kind: str, data: st.DataObject) -> None:
    fields = ("asDouble", "asInt", "count", "sum", "bucketCounts", "explicitBounds", "scale", "zeroCount", "positive")
    value = data.draw(st.one_of(_values, st.lists(_values, max_size=3).map(lambda found: f"[{','.join(found)}]")))
    point = f'{{"{data.draw(st.sampled_from(fields))}":{value}}}'
    metric = f'{{"name":"m","{kind}":{{"dataPoints":[{point}],"aggregationTemporality":{data.draw(_values)}}}}}'
    checked(Signal.METRICS, _AROUND[Signal.METRICS].replace("@", metric).encode())


@settings(max_examples=300)
@given(st.sampled_from(["stringValue", "boolValue", "intValue", "doubleValue", "bytesValue", "arrayValue"]), _values)
def test_every_value_in_attributes(name: str, value: str) -> None:
    attribute = f'{{"name":"n","attributes":[{{"key":"k","value":{{"{name}":{value}}}}}]}}'
    checked(Signal.TRACES, _AROUND[Signal.TRACES].replace("@", attribute).encode())


@settings(max_examples=300)
@given(generated.requests, st.data())
def test_damaged_documents(message: Any, data: st.DataObject) -> None:
    body = json.dumps(json_of(message)).encode()
    at = data.draw(st.integers(0, len(body) - 1))
    piece = data.draw(st.sampled_from([b"", b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\xff", b"0", b"null"]))
    checked(Signal.TRACES, body[:at] + piece + body[at + data.draw(st.integers(0, 3)) :])


@pytest.mark.parametrize(
    ("body", "plain"),
    [
        (b"\xef\xbb\xbf{}", True),
        (b" {} \n", True),
        (b"", False),
        (b"[]", False),
        (b"{}{}", False),
        (b'{"resourceSpans":[],"resourceSpans":[]}', False),  # of equal names the last counts
        (b'{"x":' + b"[" * 199 + b"]" * 199 + b"}", True),
        (b'{"x":' + b"[" * 5000 + b"]" * 5000 + b"}", False),
    ],
)
def test_whole_documents(body: bytes, plain: bool) -> None:
    checked(Signal.TRACES, body)
    assert (schema(Signal.TRACES).transcode(body, 10_000, 100) is not None) == plain


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 40, 100])
def test_lengths_of_nested_messages(depth: int) -> None:
    value = '{"arrayValue":{"values":[' * depth + '{"stringValue":"' + "x" * 300 + '"}' + "]}}" * depth
    attribute = f'{{"name":"n","attributes":[{{"key":"k","value":{value}}}]}}'
    assert check_transcoding(Signal.TRACES, _AROUND[Signal.TRACES].replace("@", attribute).encode())
