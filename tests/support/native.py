"""The native modules beside what they must equal; tests of them are skipped where they were not compiled."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from collector.admit import otlp_json
from collector.admit.limits import RequestLimits
from collector.admit.validate import Validated, validate_traces
from collector.decode import reference
from collector.errors import Rejected
from collector.model.columns import DECODED_SCHEMA
from collector.model.envelope import Encoding, Envelope, Signal
from collector.wire.otlp import MAX_DEPTH, REQUESTS, parse_checked
from collector.wire.schema import schema_of

_LIMITS = RequestLimits()
Decode = Callable[[Sequence[Envelope]], pa.RecordBatch]


def kernel() -> Decode:
    return pytest.importorskip("collector.decode._kernel", exc_type=ImportError).decode  # type: ignore[no-any-return]


def scan() -> Callable[[bytes], Any]:
    native = pytest.importorskip("collector.admit._scan", exc_type=ImportError)
    return lambda body: native.scan(body, _LIMITS.max_items, _LIMITS.max_elements)


def schema(signal: Signal) -> Any:
    native = pytest.importorskip("collector.admit._scan", exc_type=ImportError)
    return native.Schema(schema_of(REQUESTS[signal].DESCRIPTOR))


def check_transcoding(signal: Signal, body: bytes) -> bool:
    """A JSON body that is transcoded is the message the reader in Python makes of it. Returns whether it was."""
    payload = schema(signal).transcode(body, _LIMITS.max_elements, MAX_DEPTH)
    if payload is None:
        return False
    expected = otlp_json.parse(REQUESTS[signal], body)
    assert parse_checked(REQUESTS[signal], payload).SerializeToString(deterministic=True) == expected.SerializeToString(
        deterministic=True
    )
    return True


def envelopes(*payloads: bytes) -> list[Envelope]:
    return [Envelope(f"p{number}", 1_760_000_000_000_000_000 + number, 0, body) for number, body in enumerate(payloads)]


def check_decode(*payloads: bytes) -> int | None:
    """Both decoders make the same rows of `payloads`, or refuse them alike. Returns the rows, None when refused."""
    contents = envelopes(*payloads)
    expected, found = _outcome(reference.decode, contents), _outcome(kernel(), contents)
    if isinstance(expected, tuple) or isinstance(found, tuple):
        assert found == expected
        return None
    found.validate(full=True)
    assert found.schema == DECODED_SCHEMA
    assert found.equals(expected)
    return int(found.num_rows)


def _outcome(decode: Decode, contents: list[Envelope]) -> Any:
    """The rows, or why there are none."""
    try:
        return decode(contents)
    except Rejected as refused:
        return refused.reason, str(refused)


def check_scan(body: bytes) -> bool:
    """What a scan takes decodes to as many rows, and its sender is told the same. Returns whether it was taken."""
    seen = scan()(body)
    if seen is None:
        return False
    accepted, _, elements, problems = seen
    assert elements <= schema(Signal.TRACES).count(body, 10**9, 10**9)[1]  # which counts unknown fields too
    assert check_decode(body) == accepted
    assert sum(spans for _, _, spans in problems) == _slowly(body).receipt.rejected
    assert validate_traces(body, Encoding.PROTOBUF).receipt == _slowly(body).receipt
    return True


def _slowly(body: bytes) -> Validated:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("collector.admit.validate._natively", lambda *_: None)
        return validate_traces(body, Encoding.PROTOBUF)


def codec() -> Any:
    return pytest.importorskip("collector.net.http2._codec", exc_type=ImportError).Codec
