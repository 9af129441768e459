"""A run step by step: one span at a time in order of their starts, what it was given and what came out."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from collector.model.facts import Kind
from collector.runs.costs import total
from collector.runs.span import Span, by_time
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats
from collector.web.pages.page import Asked, Shown
from collector.web.pages.run import VIEWS, head, load
from collector.web.pages.span import about

_BARS: Final = 2000  # of the position bar; more are no wider than a pixel


async def page(asked: Asked) -> Shown:
    return await asyncio.to_thread(_page, asked)


def _page(asked: Asked) -> Shown:
    run, _ = load(asked)
    ordered = sorted((row.span for row in run.rows), key=by_time)
    step = min(max(asked.number("step", 1), 1), len(ordered))
    span = ordered[step - 1]
    before = ordered[:step]
    following = ordered[step] if step < len(ordered) else None
    context = {
        **head(asked, run),
        **about(asked, span.span_id),
        "view": "replay",
        "views": VIEWS,
        "step": step,
        "steps": len(ordered),
        "at": formats.duration(span.start - run.start),
        "wait": min(max(following.start - span.start, 0) // 10**6, 600_000) if following else 0,
        "previous": asked.without("step", step=str(step - 1)) if step > 1 else "",
        "following": asked.without("step", step=str(step + 1)) if following else "",
        "so_far": {
            "cost": _cost(run, before),
            "tokens_in": formats.count(sum(one.input_tokens for one in before if not one.rolled_up)),
            "tokens_out": formats.count(sum(one.output_tokens for one in before if not one.rolled_up)),
            "calls": sum(one.kind == Kind.LLM and not one.rolled_up for one in before),
            "tools": sum(one.kind == Kind.TOOL for one in before),
            "errors": sum(one.error for one in before),
        },
        "bars": _bars(run),
        "position": f"{100 * (span.start - run.start) / max(run.end - run.start, 1):.3f}%",
        "name_of_step": span.label,
        "place": "",
        "peer": "",
    }
    return Shown("replay.html", context["name"], "Runs", context, ("replay",))


def _cost(run: Waterfall, spans: Sequence[Span]) -> str:
    """What these spans have cost, nothing before the first call."""
    spent = total(one.cost for one in spans)
    if spent is None and any(one.span_id in run.unpriced for one in spans):
        return "unpriced"
    return formats.money(spent or Decimal(0))


def _bars(run: Waterfall) -> list[dict[str, Any]]:
    lanes = {Kind.LLM.value: "2", Kind.TOOL.value: "11", Kind.EVAL.value: "20", Kind.INTERNAL.value: "20"}
    length = max(run.end - run.start, 1)
    spans = [row.span for row in run.rows if row.span.kind in lanes]
    every = max(1, len(spans) // _BARS)
    return [
        {
            "kind": "failed-fill" if span.error else f"{span.kind} thin",
            "x": f"{100 * (span.start - run.start) / length:.3f}%",
            "width": f"{max(100 * (span.end - span.start) / length, 0.1):.3f}%",
            "y": lanes[span.kind],
        }
        for span in spans[::every]
    ]
