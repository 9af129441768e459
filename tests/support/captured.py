"""The captured payloads of real libraries: their spans as stored, and what the model server knows of the calls."""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.admit import otlp_json
from collector.admit.validate import validate_traces
from collector.decode import decode
from collector.model.envelope import Encoding, Envelope, Signal
from collector.model.facts import SpanView
from collector.wire.otlp import REQUESTS

ROOT = Path(__file__).parents[1] / "fixtures" / "otlp"
CASES = sorted(path.parent.name for path in ROOT.glob("*/truth.json"))

# Why a payload does not tell everything the server knows.
NOT_SENT = "the library does not send it"
NO_SPAN = "no span tells of these calls"
NO_CONTENT = "content is not captured on spans here"
LOGS = "content is only in log records"
STREAM_MODEL = "the model asked for is sent where the one that answered belongs"
HIDDEN = "content is hidden: __REDACTED__, and with it what was only there"


@dataclass(frozen=True)
class Captured:
    """One span, with the ids that join it to the truth."""

    trace_id: str
    span_id: str
    parent_id: str
    view: SpanView = field(repr=False)


@functools.cache
def truth(case: str) -> dict[str, Any]:
    """What the scripted model server logged: calls and tool runs, and the spans that tell of each call.

    Texts longer than 400 characters are cut to {"head", "chars"}. A call's span has `own: false` when only its input
    repeats an earlier answer.
    """
    document: dict[str, Any] = json.loads((ROOT / case / "truth.json").read_text(encoding="utf-8"))
    return document


@functools.cache
def spans(case: str) -> tuple[Captured, ...]:
    """Every span of the case's trace requests, decoded as the daemon does."""
    return tuple(_captured(row) for payload in payloads(case) for row in _rows(payload))


def view(row: dict[str, Any]) -> SpanView:
    """A decoded row as enrichment sees it."""
    events = zip(row["Events.Name"], map(dict, row["Events.Attributes"]), strict=True)
    return SpanView(
        name=row["SpanName"],
        scope_name=row["ScopeName"],
        span_kind=row["SpanKind"],
        status_code=row["StatusCode"],
        attributes=dict(row["SpanAttributes"]),
        events=tuple(events),
        resource=dict(row["ResourceAttributes"]),
    )


def _captured(row: dict[str, Any]) -> Captured:
    return Captured(row["TraceId"], row["SpanId"], row["ParentSpanId"], view(row))


def payloads(case: str) -> Iterator[bytes]:
    """The case's trace requests in protobuf encoding."""
    for path in sorted((ROOT / case).glob("*.traces.*")):
        if path.suffix == ".pb":
            yield path.read_bytes()
        elif not path.name.endswith(".meta.json"):
            yield otlp_json.parse(REQUESTS[Signal.TRACES], path.read_bytes()).SerializeToString()


def _rows(payload: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = decode([Envelope("default", 1, 1, payload)]).to_pylist()
    return rows


def captured(case: str) -> list[Envelope]:
    """The case's trace requests as they are spooled."""
    envelopes = []
    for number, path in enumerate(sorted((ROOT / case).glob("*.traces.*"))):
        if path.suffix not in {".pb", ".json"} or path.name.endswith(".meta.json"):
            continue
        encoding = Encoding.JSON if path.suffix == ".json" else Encoding.PROTOBUF
        valid = validate_traces(path.read_bytes(), encoding)
        envelopes.append(Envelope("default", 1_800_000_000_000_000_000 + number, valid.receipt.accepted, valid.payload))
    return envelopes
