"""A run as text: its spans as an indented tree with durations."""

from decimal import Decimal
from typing import Any

_NAME_WIDTH = 44


def render(spans: list[dict[str, Any]]) -> str:
    """Spans as the API gives them; a span whose parent is not among them is a root."""
    known = {span["SpanId"] for span in spans}
    children: dict[str, list[dict[str, Any]]] = {}
    for span in sorted(spans, key=lambda span: int(span["Timestamp"])):
        parent = span["ParentSpanId"] if span["ParentSpanId"] in known else ""
        children.setdefault(parent, []).append(span)
    lines: list[str] = []
    # A stack instead of recursion: runs can be deep. A span reached twice would be a cycle; it is shown once.
    waiting = [(span, 0) for span in reversed(children.pop("", []))]
    while waiting:
        span, depth = waiting.pop()
        lines.append(_line(span, depth))
        waiting += [(child, depth + 1) for child in reversed(children.pop(span["SpanId"], []))]
    return "\n".join(lines)


def _line(span: dict[str, Any], depth: int) -> str:
    name = "  " * depth + (span["SpanName"] or "(no name)")
    outcome = f"ERROR {span['StatusMessage']}" if span["StatusCode"] == "Error" else _cost_text(span)
    return f"{name:<{_NAME_WIDTH}} {span['Duration'] / 1e6:9.2f} ms  {span['ServiceName']:<16} {outcome}".rstrip()


def _cost_text(span: dict[str, Any]) -> str:
    """What a model call cost, or why it has no price."""
    if span["Cost"] is not None:
        cached = f", {span['CacheReadTokens']} cached" if span["CacheReadTokens"] else ""
        return f"${span['Cost']}  {span['InputTokens']} in{cached}, {span['OutputTokens']} out"
    return span["PriceStatus"] if span["Kind"] == "llm" else ""


def total(spans: list[dict[str, Any]]) -> Decimal:
    """What the run cost in USD: every billed span, once."""
    return sum((Decimal(span["Cost"]) for span in spans if span["Cost"] is not None), Decimal(0))
