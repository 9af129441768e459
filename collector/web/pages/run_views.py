"""The views of a run beside its waterfall: conversation, rounds, prompt, tools, JSON."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from collector.exports.document import run_document
from collector.exports.otlp import otlp_request
from collector.exports.otlp_json import otlp_json
from collector.model.json_text import json_bytes
from collector.runs import Run, SystemPrompt, prompts_of, read_spans, run_of
from collector.runs.text_difference import Line, difference
from collector.runs.tool_use import tool_uses
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats
from collector.web.pages.conversation import conversation_view
from collector.web.pages.page import Asked
from collector.web.pages.round_parts import PAGE, action_row, cost, decimals_of, owner, page_of

_MAX_SCHEMA: Final = 4000
_MAX_SIZED: Final = 300  # spans


def run_view(asked: Asked, run: Waterfall, view: str) -> Mapping[str, Any]:
    """What the template of a view shows."""
    return _VIEWS[view](asked, run, _whole(asked))


def run_views(asked: Asked, run: Waterfall) -> Mapping[str, Any]:
    """What the templates of all views show, of the run for programs apart."""
    whole = _whole(asked)
    views = (_VIEWS[view](asked, run, whole) for view in ("conversation", "rounds", "prompt", "tools"))
    return {name: value for shown in views for name, value in shown.items()}


def _whole(asked: Asked) -> Run:
    return run_of(read_spans(asked.services.query.run_spans(asked.principal, asked.path["trace_id"])))


# -- rounds -----------------------------------------------------------------------------------------------------------


def _rounds(asked: Asked, run: Waterfall, whole: Run) -> dict[str, Any]:
    begin, pager = page_of(asked, len(whole.rounds))
    decimals = decimals_of(whole.rounds)
    rows, spent = [], Decimal(0)
    for at, each in enumerate(whole.rounds):
        spent += each.cost or 0
        if begin <= at < begin + PAGE:
            span = each.call.span if each.call else None
            rows.append(
                {
                    "number": each.number,
                    "owner": owner(run, each),
                    "span_id": span.span_id if span else "",
                    "model": each.answered_model or each.requested_model,
                    "finish_reason": each.finish_reason,
                    "input_tokens": formats.count(each.input_tokens) if span else "",
                    "output_tokens": formats.count(each.output_tokens) if span else "",
                    "cost": cost(run, each, decimals),
                    "exact_cost": formats.exact(each.cost),
                    "running": formats.money(spent, decimals),
                    "duration": formats.duration(span.end - span.start) if span else "",
                    "actions": [action_row(run, action) for action in each.actions],
                }
            )
    return {"round_rows": rows, "total_cost": formats.money(whole.cost, decimals), **pager}


# -- prompt -----------------------------------------------------------------------------------------------------------


def _prompt(_: Asked, run: Waterfall, whole: Run) -> dict[str, Any]:
    changes = prompts_of(whole.rounds)
    if not changes and whole.system_prompt:
        changes = [(0, whole.system_prompt)]
    numbered = {each.number: owner(run, each) for each in whole.rounds}
    first = changes[0][1] if changes else None
    return {
        "prompt": first,
        "prompt_bytes": len(first.text.encode("utf-8", "replace")) if first else 0,
        "prompt_lines": first.text.count("\n") + 1 if first else 0,
        "changes": [
            {"number": number, "owner": numbered.get(number, ""), "lines": _difference(before, after)}
            for (_, before), (number, after) in pairwise(changes)
        ],
    }


def _difference(before: SystemPrompt, after: SystemPrompt) -> list[Line]:
    return difference(before.text, after.text)


# -- tools, JSON ------------------------------------------------------------------------------------------------------


def _tools(_: Asked, __: Waterfall, whole: Run) -> dict[str, Any]:
    rows = [
        {
            "name": use.tool.name,
            "description": use.tool.description,
            "schema": use.tool.schema[:_MAX_SCHEMA],
            "schema_cut": len(use.tool.schema) > _MAX_SCHEMA,
            "calls": use.tool.count,
            "errors": use.errors,
            "p50": "" if use.p50 is None else formats.duration(use.p50),
            "longest": "" if use.longest is None else formats.duration(use.longest),
            "span_id": use.span_id,
        }
        for use in tool_uses(whole)
    ]
    return {"tools": rows, "offered": len(rows), "called_tools": sum(tool.called for tool in whole.tools)}


def _json(asked: Asked, run: Waterfall, _: Run) -> dict[str, Any]:
    trace_id = asked.path["trace_id"].lower()
    path = f"/api/v1/runs/{trace_id}"
    made = _sizes(asked, trace_id) if len(run.rows) <= _MAX_SIZED else {}
    return {
        "documents": [
            (path + query, label, text, made.get(query, ""))
            for query, label, text in (
                ("/export", "Export", "all of it in one document with a published schema"),
                ("/export?format=otlp", "Export as OTLP", "any receiver of OTLP has the run again"),
                ("/export?format=html", "Export as a page", "one file to hand on"),
                (
                    "/export?format=html&audience=client",
                    "Export as a page for a client",
                    "without costs and attributes",
                ),
                ("/export?format=md", "Export as Markdown", "for an issue"),
                ("", "The run", "rounds with their actions, system prompt, tools, cost"),
                ("/spans", "Its spans in columns", "what the waterfall is drawn from"),
            )
        ]
        + [(f"/api/v1/traces/{trace_id}", "Every span as it is stored", "all columns, content included", "")]
    }


def _sizes(asked: Asked, trace_id: str) -> dict[str, str]:
    """How large exports for programs are: they are made to know it, which those of long runs are not."""
    spans = asked.services.query.trace(asked.principal, trace_id)
    made = {
        "/export": len(json_bytes(run_document(spans))),
        "/export?format=otlp": len(otlp_json(otlp_request(spans))),
    }
    return {query: formats.size(size) for query, size in made.items()}


_VIEWS: Final[Mapping[str, Callable[[Asked, Waterfall, Run], Mapping[str, Any]]]] = {
    "conversation": conversation_view,
    "rounds": _rounds,
    "prompt": _prompt,
    "tools": _tools,
    "json": _json,
}
