"""What the native fuzz targets begin with: inputs made of what real clients sent, and words that inputs are made of.

Each input begins with the bytes that say how it is taken, as its target in `tests/fuzz` describes them.
"""

import gzip
import json
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from random import Random
from typing import Any, Final

import h2.config
import h2.connection
import h2.settings

from collector.model.envelope import Signal
from collector.wire.otlp import REQUESTS, parse_checked
from collector.wire.schema import schema_of
from tests.support import captured, odd
from tests.support.http2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PATHS,
    PING,
    PREFACE,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    call_bytes,
    frame,
    head,
    message,
    plain_block,
)
from tests.support.otlp import json_of, nested_request, request, span
from tests.support.signals import log_request, metric_request, one_of_each, record, total
from tests.support.signals import number as point

MAX_SEED: Final = 4_000  # bytes; small inputs are changed faster
_SIGNALS = tuple(Signal)
_PROTOBUF = 4
_SHALLOW = 20  # values may nest so deep
_GREETED, _OFTEN = 16, 64
_SAME = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "start_time_unix_nano": 0, "end_time_unix_nano": 0}


def seeds() -> Mapping[str, Iterator[bytes]]:
    """The first inputs of each target."""
    return {
        "http2": _http2(),
        "decode": _decode(),
        "capture": _capture(),
        "door": _door(),
        "logs": _of_signal(Signal.LOGS),
        "metrics": _of_signal(Signal.METRICS),
    }


def words() -> Mapping[str, Iterator[bytes]]:
    """What the inputs of a target are made of, where chance would not find it."""
    return {
        "http2": _http2_words(),
        "decode": _decode_words(),
        "capture": _capture_words(),
        "door": _door_words(),
        "logs": _signal_words(),
        "metrics": _signal_words(),
    }


# -- HTTP/2 -----------------------------------------------------------------------------------------------------------


def _http2() -> Iterator[bytes]:
    for number, conversation in enumerate((*_conversations(), *_frames())):
        for flags in (0, 1, 2, 12, 32):
            yield bytes([flags, number % 12, 0, number]) + conversation
    yield from _floods()
    for number, sent in enumerate(_frames()):
        yield bytes([_GREETED, 15, 1, number]) + sent.removeprefix(PREFACE + frame(SETTINGS))


def _conversations() -> Iterator[bytes]:
    """What h2's client sends, with a header table and Huffman codes."""
    for content in (b"", b"abc", *_small(Signal.TRACES)[:4]):
        client = _client()
        for coding in ("identity", "gzip"):
            body = gzip.compress(content, mtime=0) if coding == "gzip" else content
            for path in PATHS:
                fields = head(("grpc-encoding", coding), ("te", "trailers"), ("authorization", "Bearer abc"), path=path)
                _call(client, fields, message(body, flag=int(coding == "gzip")))
        client.ping(b"12345678")
        client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
        client.increment_flow_control_window(1000)
        client.send_headers(9, head(("x-api-key", "k")))
        client.reset_stream(9)
        client.close_connection()
        yield client.data_to_send()


def _client() -> h2.connection.H2Connection:
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, validate_outbound_headers=False))
    client.initiate_connection()
    return client


def _call(client: h2.connection.H2Connection, fields: list[tuple[str | bytes, str | bytes]], content: bytes) -> None:
    stream = client.get_next_available_stream_id()
    client.send_headers(stream, fields)
    for at in range(0, len(content), 1000):
        client.send_data(stream, content[at : at + 1000])
    client.end_stream(stream)


def _frames() -> Iterator[bytes]:
    """Frames that h2 does not send, behind a greeting."""
    block = plain_block()
    length = plain_block(("content-length", "8"))
    number = (7).to_bytes(4, "big")  # an error code, or so much more of a window
    for sent in (
        call_bytes(1, block, b"abc") + call_bytes(3, block) + call_bytes(5, length, b"abc"),
        call_bytes(1, length, b"abcd") + call_bytes(3, length, b"ab"),
        frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x06")
        + b"".join(call_bytes(stream, block) for stream in range(1, 41, 2))
        + b"".join(frame(WINDOW_UPDATE, 0, stream, number) for stream in range(1, 41, 2)) * 3
        + frame(SETTINGS, 0, 0, b"\x00\x04\x00\x01\x00\x00")
        + frame(WINDOW_UPDATE, 0, 0, (2**20).to_bytes(4, "big")) * 5,
        frame(HEADERS, 0, 1, block[:9])
        + frame(CONTINUATION, 0, 1, block[9:20])
        + frame(CONTINUATION, 4, 1, block[20:]),
        frame(HEADERS, END_HEADERS | PADDED | HAS_PRIORITY, 1, b"\x03" + bytes(5) + block + bytes(3))
        + frame(DATA, PADDED, 1, b"\x02" + message(b"abcdef")[:7] + bytes(2))
        + frame(DATA, END_STREAM, 1, message(b"abcdef")[7:]),
        frame(HEADERS, END_HEADERS, 1, block)
        + frame(DATA, 0, 1, message(b"abc"))
        + frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x00\x01t\x01v"),
        frame(HEADERS, END_HEADERS, 1, block) + frame(RST_STREAM, 0, 1, number) + frame(PRIORITY, 0, 3, bytes(5)),
        frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\x00\x00\x00\x05\x00\x00\x80\x00\x00\x01\x00\x00\x00\x00")
        + call_bytes(1, block, b"abc") * 2
        + frame(WINDOW_UPDATE, 0, 1, number)
        + frame(WINDOW_UPDATE, 0, 0, number),
        frame(PING, 0, 0, b"farewell") + frame(PING, 1, 0, b"farewell") + frame(GOAWAY, 0, 0, bytes(8)),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, plain_block(method="GET")),
        frame(HEADERS, END_HEADERS, 1, plain_block(path=b"/none")) + frame(DATA, END_STREAM, 1, message(b"a", flag=2)),
        frame(HEADERS, END_HEADERS, 1, block) + frame(DATA, 0, 1, message(b"", length=2**31)),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, block) + call_bytes(3, block) + frame(DATA, 0, 3, b"more"),
        frame(HEADERS, END_HEADERS, 1, plain_block(("authorization", "a"), ("authorization", "b"))),
        frame(
            HEADERS,
            END_HEADERS,
            1,
            plain_block(("a", "x" * 4000)) + b"\x40\x01a\x7f\xa1\x1e" + b"y" * 4000 + b"\xbe" * 20,
        ),
    ):
        yield PREFACE + frame(SETTINGS) + sent


def _floods() -> Iterator[bytes]:
    """What a server must bound: the last sixteenth is sent often, or all but the first."""
    block = plain_block()
    begun = PREFACE + frame(SETTINGS) + frame(HEADERS, END_HEADERS, 1, block)
    for flood in (
        frame(PING, payload=b"12345678"),
        frame(SETTINGS) * 8,
        frame(SETTINGS, payload=b"\x00\x04\x00\x00\x00\x00") + frame(SETTINGS, payload=b"\x00\x04\x00\x00\xff\xff"),
        frame(WINDOW_UPDATE, 0, 0, (1).to_bytes(4, "big")) * 8,
        frame(WINDOW_UPDATE, 0, 1, (2**24).to_bytes(4, "big")) * 8,
        frame(PRIORITY, 0, 3, bytes(5)) * 8,
        frame(DATA, 0, 1) * 8,
        frame(HEADERS, END_HEADERS, 3, block),
    ):
        yield bytes([_OFTEN, 0xFF, 0, 1]) + _padded(begun, 15 * len(flood)) + flood
    content = frame(DATA, 0, 1, message(b"", length=2**22))
    yield bytes([_OFTEN, 0x1F, 0, 1]) + _padded(begun + content, 801) + frame(DATA, 0, 1, bytes(15 * 801 - 9))


def _padded(sent: bytes, size: int) -> bytes:
    """Filled up to this size with a frame of a type that does not exist."""
    return sent + frame(99, payload=bytes(size - len(sent) - 9))


def _http2_words() -> Iterator[bytes]:
    yield from (PREFACE, frame(SETTINGS), plain_block(), call_bytes(1, plain_block()))
    yield from (frame(kind, flags, 1)[3:] for kind in range(11) for flags in (0, 1, 4, 5, 8, 32))
    yield from (b"content-length", b"authorization", b"x-api-key", b"grpc-encoding", b"farewell", b":path", *PATHS)
    yield from (b"\x3f\xe1\x1f", b"\x20", b"\x40\x01a\x01b", b"\xbe", b"\xbf")  # table sizes and entries


# -- OTLP -------------------------------------------------------------------------------------------------------------


def _small(signal: Signal) -> list[bytes]:
    """Requests in protobuf, the smallest first."""
    files = (path for case in captured.CASES for path in (captured.ROOT / case).glob(f"*.{signal}.pb"))
    bodies = {body for path in files if len(body := path.read_bytes()) <= MAX_SEED}
    return sorted(bodies, key=lambda body: (len(body), body))


def _decode() -> Iterator[bytes]:
    random = Random(12)
    bodies = [*_odd_spans(), *_small(Signal.TRACES)] + [
        body for _ in range(300) if len(body := odd.request(random)) <= MAX_SEED
    ]
    for body in bodies:
        yield bytes([random.randrange(256), *len(body).to_bytes(2, "big")]) + body
    for one, other in pairwise(bodies):
        if len(one + other) <= MAX_SEED:
            yield bytes([random.randrange(256), *len(one).to_bytes(2, "big")]) + one + other


def _odd_spans() -> Iterator[bytes]:
    """What few libraries send: values within values, what JSON escapes, times out of order, spans that are not over."""
    texts = {"t": '"\\\n\r\t\b\f\x01\x1f \u2028\u2029 \u00e9\U0001f600', "e": "", "l": "x" * 100}
    numbers = [0.0, -0.0, 1.0, 123.45, 1e21, 1e-7, 5e-324, 0.001, math.inf, math.nan, 2**63 - 1, -(2**63), True, False]
    values = {"list": [*numbers, b"bytes", *texts.values()], "map": {"b": numbers, "a": texts, "c": b"\0\xff"}, **texts}
    pending = {"logfire.span_type": "pending_span", "logfire.pending_parent_id": "00000000000000AB"}
    yield _request(_span(values), resource={"service.name": "s", **values})
    yield _request(_span(pending, parent_span_id=b"12345678"), _span({"k": 1}, parent_span_id=bytes(8)))
    yield _request(_span(start_time_unix_nano=2**63, end_time_unix_nano=5), _span(flags=3))
    yield _request(*(_span() for _ in range(230)), resource={"large": "x" * 6000})
    yield from (nested_request(depth, lists=lists, **_SAME) for depth in (2, 99, 100) for lists in (True, False))


def _request(*spans: Any, resource: Mapping[str, Any] | None = None) -> bytes:
    made: bytes = request(*spans, resource=resource).SerializeToString()
    return made


def _span(attributes: Mapping[str, Any] | None = None, **fields: Any) -> Any:
    """The same each time, and small."""
    return span(attributes or {}, **(_SAME | {"name": "", "kind": 0} | fields))


def _decode_words() -> Iterator[bytes]:
    yield from (b"service.name", b"logfire.span_type", b"pending_span", b"logfire.pending_parent_id", b"\xe2\x80\xa8")
    yield from (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0b\x0c", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80")
    yield from (b"\x0a\x10" + b"t" * 16, b"\x12\x08" + b"s" * 8, b"\x22\x08" + b"p" * 8)  # ids of a span


def _of_signal(signal: Signal) -> Iterator[bytes]:
    random = Random(13)
    bodies = [*_odd_signals(signal), *_small(signal)]
    for body in bodies:
        yield bytes([random.randrange(256), *len(body).to_bytes(2, "big")]) + body
    for one, other in pairwise(bodies):
        if len(one + other) <= MAX_SEED:
            yield bytes([random.randrange(256), *len(one).to_bytes(2, "big")]) + one + other


def _odd_signals(signal: Signal) -> Iterator[bytes]:
    """Records and points of every kind, with each field and values within values."""
    said = {"event.name": "e", "list": [1, 2.5, b"b", True, {"a": "x"}], "session.id": "s"}
    named = {"trace_id": b"t" * 16, "span_id": b"s" * 8}
    if signal is Signal.LOGS:
        records = [record(body, said, **named, flags=1, event_name="e") for body in ("line", {"a": [1, "b"]}, None)]
        yield log_request(*records, *records, resource={"service.name": "s", **said}).SerializeToString()
        return
    metrics = [*one_of_each(said, flags=1), total(point(1.5, said), point(None))]
    yield from (metric_request(metric, resource=said).SerializeToString() for metric in metrics)
    yield metric_request(*metrics).SerializeToString()


def _signal_words() -> Iterator[bytes]:
    yield from (b"service.name", b"event.name", b"session.id", b"prompt.id", b"request_id", b"\xed\xa0\x80")
    yield from (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x4a\x10" + b"t" * 16, b"\x52\x08" + b"s" * 8)


def _capture() -> Iterator[bytes]:
    for which, signal in enumerate((Signal.TRACES, Signal.LOGS)):
        odd = _odd_spans() if signal is Signal.TRACES else _odd_signals(signal)
        for place, body in enumerate([*odd, *_small(signal)]):
            yield bytes([which + 2 * (place % 4), place % 256, place % 7]) + body


def _capture_words() -> Iterator[bytes]:
    yield from (
        b"service.name",
        b"by agent",
        b"agent",
        b"own",
        b"event.name",
        b"https://",
        b"\\u00e9",
        b"\\ud800",
        b"\\n",
    )


def _door() -> Iterator[bytes]:
    for place, signal in enumerate(_SIGNALS):
        odd_spans = _odd_spans() if signal is Signal.TRACES else ()
        for body in (*odd_spans, *_small(signal)[:40]):
            parsed = parse_checked(REQUESTS[signal], body)
            yield bytes([place | _PROTOBUF, 255, 0]) + body
            yield bytes([place, 255, _SHALLOW]) + json.dumps(json_of(parsed), separators=(",", ":")).encode()
    for body in (nested_request(depth, lists=lists, **_SAME) for depth in (99, 100) for lists in (True, False)):
        document = json.dumps(json_of(parse_checked(REQUESTS[Signal.TRACES], body)))
        yield from (bytes([0, 255, depth]) + document.encode() for depth in (99, 100))
    for path in sorted(captured.ROOT.glob("*/*.traces.json")):
        yield bytes([0, 255, _SHALLOW]) + path.read_bytes()[:MAX_SEED]
    escapes = rb'{"resourceSpans":[{"schemaUrl":"\ud83d\ude00\u00e9\n\ud800","x":[{"y":-1.5e3},null,true]}]}'
    yield from (bytes([0, 255, _SHALLOW]) + escapes[:size] for size in range(30, len(escapes) + 1))


def _door_words() -> Iterator[bytes]:
    names = {
        field.json_name for signal in _SIGNALS for one in schema_of(REQUESTS[signal].DESCRIPTOR) for field in one.fields
    }
    yield from (f'"{name}":'.encode() for name in sorted(names))
    yield from (
        b"null",
        b"true",
        b'"NaN"',
        b'"-Infinity"',
        b"1e400",
        b"-0",
        b"\\ud83d\\ude00",
        b"\\ud800",
        b"[{}]",
        b"{}",
    )
