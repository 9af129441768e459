"""Reads of one run: its spans without their content, one span whole, and a text of it in parts.

Every function is within one project and blocks; each raises Rejected(MALFORMED) for what is no id, and
Unavailable(STORE) when the store does not answer.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pyarrow as pa

from collector.errors import Reason, Rejected
from collector.query.limits import Reader
from collector.store.sql import named_query

_TRACE_ID = re.compile(r"[0-9a-f]{32}\Z")
_SPAN_ID = re.compile(r"[0-9a-f]{16}\Z")
MAX_SPANS = 100_000
MAX_VALUE_BYTES = 16 * 1024  # longer values of a span are read in parts


class Side(StrEnum):
    """Which text of a span."""

    INPUT = "input"
    OUTPUT = "output"
    ATTRIBUTE = "attribute"


@dataclass(frozen=True, slots=True)
class TextPart:
    """Bytes of a text from some place on, and how many the whole text has."""

    part: bytes
    size: int


def trace_parameters(project: str, trace_id: str) -> dict[str, Any]:
    """The parameters every query of a run has."""
    wanted = trace_id.lower()
    if not _TRACE_ID.match(wanted):
        raise Rejected(Reason.MALFORMED, f"{trace_id!r} is not a trace id: 32 hexadecimal digits.")
    return {"project": project, "trace_id": wanted}


def waterfall_spans(store: Reader, project: str, trace_id: str) -> pa.Table:
    """Every span of a run, up to MAX_SPANS and one more, with the columns of `run_waterfall.sql`."""
    parameters = trace_parameters(project, trace_id)
    return store.query(named_query("run_waterfall"), {**parameters, "limit": MAX_SPANS + 1})


def span(store: Reader, project: str, trace_id: str, span_id: str) -> pa.Table:
    """One span with the columns of `span.sql`; no row when there is none."""
    parameters = _span_parameters(project, trace_id, span_id)
    return store.query(named_query("span"), {**parameters, "max_value": MAX_VALUE_BYTES})


def run_of_span(store: Reader, project: str, span_id: str) -> str | None:
    """The trace id of a span; None when none is stored with this id."""
    parameters = {"project": project, "span_id": _span_id(span_id)}
    found = store.query(named_query("run_of_span"), parameters).column("TraceId").to_pylist()
    return found[0] if found else None


def run_span(store: Reader, project: str, trace_id: str, span_id: str) -> pa.Table:
    """One span with the columns that its conversation is read from, content and all."""
    return store.query(named_query("run_span"), _span_parameters(project, trace_id, span_id))


def span_text(
    store: Reader, project: str, trace_id: str, span_id: str, side: Side, key: str, first: int, length: int
) -> TextPart | None:
    """`length` bytes of a text from byte `first` on; None when there is no such span, or no such attribute."""
    parameters = _span_parameters(project, trace_id, span_id)
    parameters |= {"side": side.value, "key": key, "first": first, "length": length}
    found = store.query(named_query("span_text"), parameters)
    if not found.num_rows or not found.column("Found")[0].as_py():
        return None
    part = found.column("Part").cast(pa.binary())[0].as_py()  # a part may begin or end within a character
    return TextPart(part, found.column("Bytes")[0].as_py())


def _span_parameters(project: str, trace_id: str, span_id: str) -> dict[str, Any]:
    return {**trace_parameters(project, trace_id), "span_id": _span_id(span_id)}


def _span_id(text: str) -> str:
    wanted = text.lower()
    if not _SPAN_ID.match(wanted):
        raise Rejected(Reason.MALFORMED, f"{text!r} is not a span id: 16 hexadecimal digits.")
    return wanted
