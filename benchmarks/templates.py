"""Requests by the million: encoded once, then sent with new ids, times and response ids written over the old ones.

Texts repeat after `DISTINCT_SPANS` spans. Rows lie in the store in the order of their random trace ids, so a compressed
block of a thousand rows holds a few per cent of repeated texts at most: compression is hardly flattered.
"""

import json
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.corpus import RESPONSE_ID, RESPONSE_ID_DIGITS, Writer
from tests.support.otlp import json_of

Encoding = Literal["protobuf", "json"]
DISTINCT_SPANS: Final = 16_384
_DISTINCT_BYTES = 64 << 20

_Bytes = npt.NDArray[np.uint8]
_Numbers = npt.NDArray[np.int64]
_RANDOM = 8 + RESPONSE_ID_DIGITS // 2  # bytes a span: its id, and its response's
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), np.uint8).reshape(256, 2)
_TENS = np.array([10**power for power in range(18, -1, -1)], np.int64)


_Encode = Callable[[Any], _Bytes]


class Template:
    """One encoded request. `fresh` is the same request with ids that never occurred and times that end now."""

    def __init__(self, request: Any, encoding: Encoding = "protobuf") -> None:
        body = json.dumps(json_of(request)).encode() if encoding == "json" else request.SerializeToString()
        spans = [span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans]
        self.spans = len(spans)
        self._buffer = np.frombuffer(bytearray(body), np.uint8)
        self._trace_of, self._traces = _numbered([span.trace_id for span in spans])
        starts = np.array([span.start_time_unix_nano for span in spans], np.int64)
        ends = np.array([span.end_time_unix_nano for span in spans], np.int64)
        self._starts, self._ends = starts - ends.max(), ends - ends.max()
        self._id: _Encode = _hex if encoding == "json" else _raw
        self._time: _Encode = _decimal if encoding == "json" else _fixed64
        self._at = _positions(body, spans, encoding)

    def fresh(self, now_ns: int, traces: _Bytes | None = None) -> bytes:
        """The request's bytes; the same length every time. Its spans are of some of `traces` (rows of 16), if any."""
        buffer, at, spans, split = self._buffer, self._at, self.spans, 16 * self._traces
        random = np.frombuffer(os.urandom(split + _RANDOM * spans), np.uint8)
        own = random[split:].reshape(spans, _RANDOM)
        ids = random[:split].reshape(-1, 16)
        if traces is not None and len(traces):
            ids = traces[ids[:, :4].copy().view(np.uint32).ravel() % len(traces)]
        buffer[at["trace"]] = self._id(ids[self._trace_of])
        buffer[at["span"]] = self._id(own[:, :8])
        buffer[at["start"]] = self._time(self._starts + now_ns)
        buffer[at["end"]] = self._time(self._ends + now_ns)
        buffer[at["response"]] = _hex(own[:, 8:])
        return buffer.tobytes()


def templates(
    spans: int, content_bytes: int, encoding: Encoding = "protobuf", distinct: int = DISTINCT_SPANS
) -> list[Template]:
    """Enough requests of `spans` spans for `distinct` texts, or for 64 MiB of them."""
    distinct = min(distinct, _DISTINCT_BYTES // (content_bytes + 600))
    writer = Writer()
    return [Template(writer.request(spans, content_bytes), encoding) for _ in range(max(1, distinct // spans))]


def _numbered(values: Sequence[bytes]) -> tuple[_Numbers, int]:
    """Each value's number among the distinct ones, and how many there are."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.int64), len(numbers)


def _positions(body: bytes, spans: Sequence[Any], encoding: Encoding) -> dict[str, _Numbers]:
    """Where each field of every span lies in `body`: rows of byte positions."""
    found: dict[str, list[int]] = {name: [] for name in ("trace", "span", "start", "end", "response")}
    cursor = 0
    for span in spans:
        for name, value in _fields(span, encoding):
            at = body.index(value, cursor)
            cursor = at + len(value)
            found[name].append(cursor if name == "response" else at)
    hexed = 2 if encoding == "json" else 1
    time_size = 19 if encoding == "json" else 8
    sizes = {"trace": 16 * hexed, "span": 8 * hexed, "start": time_size, "end": time_size}
    sizes["response"] = RESPONSE_ID_DIGITS
    return {name: np.array(starts)[:, None] + np.arange(sizes[name]) for name, starts in found.items()}


def _fields(span: Any, encoding: Encoding) -> list[tuple[str, bytes]]:
    """The encoded fields in the order in which they appear."""
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    if encoding == "json":
        ids = [("trace", span.trace_id.hex().encode()), ("span", span.span_id.hex().encode())]
        times = [("start", str(start).encode()), ("end", str(end).encode())]
    else:
        ids = [("trace", span.trace_id), ("span", span.span_id)]
        times = [("start", start.to_bytes(8, "little")), ("end", end.to_bytes(8, "little"))]
    return [*ids, *times, ("response", RESPONSE_ID.encode())]


def _raw(rows: _Bytes) -> _Bytes:
    return rows


def _hex(rows: _Bytes) -> _Bytes:
    return _HEX[rows].reshape(len(rows), -1)


def _fixed64(numbers: _Numbers) -> _Bytes:
    return numbers.astype("<i8").view(np.uint8).reshape(-1, 8)


def _decimal(numbers: _Numbers) -> _Bytes:
    return (numbers[:, None] // _TENS % 10 + ord("0")).astype(np.uint8)
