"""What a span takes from the spans above it in its trace."""

from collections.abc import Iterable, Mapping
from typing import Any

from collector.model.keys import SpanKey

Rows = Mapping[SpanKey, Mapping[str, Any]]


def by_key(rows: Iterable[Mapping[str, Any]]) -> Rows:
    """Rows with the columns Project, TraceId and SpanId, by these."""
    return {((row["Project"], row["TraceId"]), row["SpanId"]): row for row in rows}


def nearest_above(spans: Rows, key: SpanKey, column: str) -> str:
    """A column of the nearest span above that has a text there; empty when none has, or when ids go in a circle."""
    passed = {key}
    while (key := (key[0], spans[key]["ParentSpanId"])) in spans and key not in passed:
        if text := spans[key][column]:
            return str(text)
        passed.add(key)
    return ""
