"""The views of a run beside its waterfall: conversation, rounds, prompt, tools, JSON."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

from collector.errors import Reason, Rejected
from collector.model.evaluations import Evaluation
from collector.runs import Action, Round, Run, SystemPrompt, prompts_of, read_spans, run_of
from collector.runs.conversation import Turn, conversation
from collector.runs.messages import Message
from collector.runs.text_difference import Line, difference
from collector.runs.tool_use import tool_uses
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats, verdicts
from collector.web.pages.folding import about, folded
from collector.web.pages.gallery import Gallery, shown_parts
from collector.web.pages.markdown import markdown
from collector.web.pages.page import Asked
from collector.web.pages.pretty import exact

_PAGE: Final = 200  # rounds
_MAX_PART: Final = 4000
_MAX_PROMPT: Final = 400  # of a system prompt in the conversation: it has a view of its own
_MAX_EXACT: Final = 64 * 1024
_MAX_ALL_EXACT: Final = 1024 * 1024
_AS: Final = {"text": "Text", "markdown": "Markdown", "exact": "Exact"}
_MAX_LINE: Final = 160
_PROMPTS: Final = frozenset({"system", "developer"})  # roles


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


# -- conversation -----------------------------------------------------------------------------------------------------


def _conversation(asked: Asked, run: Waterfall, whole: Run) -> dict[str, Any]:
    turns, gallery = conversation(whole.rounds), Gallery()
    begin, pager = _page(asked, len(turns))
    shown_turns = turns[begin : begin + _PAGE]
    reading = _reading(asked, shown_turns, gallery)
    tops = {row.span.span_id for row in run.rows if row.parent < 0}
    on_paper = asked.query.get("view") == "print"
    unfolded = "unfold" in asked.query or on_paper
    groups = [(False, [turn]) for turn in shown_turns] if unfolded else list(folded(shown_turns, tops))
    judged = verdicts.found_of(asked, asked.path["trace_id"].lower())
    decimals = _decimals(whole.rounds)
    called = {tool.name: tool.count for tool in whole.tools}
    costs = [turn.round.cost for turn in turns]
    dearest = max((cost for cost in costs if cost is not None), default=Decimal(0))
    return {
        "groups": [
            {
                "about": about(group) if closed else None,
                "owner": _owner(run, group[0].round) if group else "",
                "turns": [
                    {**_turn(run, turn, decimals, reading), "verdicts": _verdicts(run, turn, judged)} for turn in group
                ],
            }
            for closed, group in groups
        ],
        "folding": "" if on_paper else _folding(asked, groups, unfolded=unfolded),
        "unfolded": unfolded,
        "reading": [
            (label, asked.without("as") if name == "text" else asked.without(**{"as": name}), name == reading.name)
            for name, label in _AS.items()
        ],
        "messages": sum(len(turn.fresh) + len(turn.answer) for turn in turns),
        "sent": sum(len(turn.round.messages.input) for turn in turns),
        "by_round": [
            {
                "number": turn.round.number,
                "owner": _owner(run, turn.round),
                "cost": _cost(run, turn.round, decimals),
                "share": f"{float(100 * (turn.round.cost or 0) / dearest) if dearest else 0:.1f}%",
            }
            for turn in turns
            if turn.round.number
        ][:_PAGE],
        "total_cost": formats.money(whole.cost, decimals),
        "called": called,
        **pager,
    }


def _folding(asked: Asked, groups: Iterable[tuple[bool, object]], *, unfolded: bool) -> str:
    """The page with everything unfolded, or folded again; empty where nothing is."""
    if unfolded:
        return asked.without("unfold")
    return asked.without(unfold="1") if any(closed for closed, _ in groups) else ""


@dataclass(frozen=True, slots=True)
class _Reading:
    """How the texts of a conversation are read: as text, as Markdown, or exactly; and how much of each is shown."""

    name: str
    gallery: Gallery
    max_text: int

    def shown(self, message: Message, *, is_prompt: bool = False) -> list[dict[str, Any]]:
        most = min(self.max_text, _MAX_PROMPT) if is_prompt and self.name == "text" else self.max_text
        read = {"markdown": markdown, "exact": exact}.get(self.name)
        parts = shown_parts(message.parts, self.gallery, most, _MAX_LINE)
        for part in parts:
            if read and part["kind"] in ("text", "reasoning"):
                part |= {"text": read(part["text"]), "form": self.name}
        return parts


def _reading(asked: Asked, turns: Sequence[Turn], gallery: Gallery) -> _Reading:
    """Raises Rejected(MALFORMED)."""
    name = asked.query.get("as", "text")
    if name not in _AS:
        raise Rejected(Reason.MALFORMED, f"as={name[:40]!r} is none of {', '.join(_AS)}.")
    said = sum(len(message.text) for turn in turns for message in (*turn.fresh, *turn.answer))
    return _Reading(name, gallery, _MAX_EXACT if name == "exact" and said <= _MAX_ALL_EXACT else _MAX_PART)


def _turn(run: Waterfall, turn: Turn, decimals: int, reading: _Reading) -> dict[str, Any]:
    each = turn.round
    span = each.call.span if each.call else None
    return {
        "number": each.number,
        "owner": _owner(run, each),
        "span_id": span.span_id if span else "",
        "repeated": turn.repeated,
        "fresh": [
            {
                "role": message.role,
                "is_prompt": message.role in _PROMPTS,
                "characters": len(message.text),
                "parts": reading.shown(message, is_prompt=message.role in _PROMPTS),
            }
            for message in turn.fresh
            if message.parts
        ],
        "answer": [part for message in turn.answer for part in reading.shown(message)],
        "actions": [_action(run, action) for action in turn.actions],
        "unanswered": [
            {"name": call.name, "arguments": _cut(call.arguments), "result": _cut(found.text) if found else None}
            for call, found in turn.unanswered
        ],
        "cost": _cost(run, each, decimals),
        "exact_cost": formats.exact(each.cost),
        "tokens": f"{formats.count(each.input_tokens)} › {formats.count(each.output_tokens)}" if span else "",
        "duration": formats.duration(span.end - span.start) if span else "",
        "failed": bool(span and span.error),
        "error": run.messages.get(span.span_id, "") if span else "",
    }


def _verdicts(run: Waterfall, turn: Turn, judged: Sequence[Evaluation]) -> Sequence[dict[str, str]]:
    """Those of the call of a turn."""
    call = turn.round.call
    return verdicts.of_span(judged, call.span.span_id, run.received) if call else ()


def _action(run: Waterfall, action: Action) -> dict[str, Any]:
    span = action.span
    return {
        "kind": span.kind,
        "name": action.name,
        "span_id": span.span_id,
        "arguments": _cut(action.arguments),
        "result": _cut(action.result or run.messages.get(span.span_id, "")),
        "error": action.error,
        "duration": formats.duration(span.end - span.start),
    }


def _cut(text: str) -> dict[str, Any]:
    """A line of a text, and how long the whole is."""
    return {"text": text[:_MAX_LINE], "characters": len(text), "cut": len(text) > _MAX_LINE}


def _owner(run: Waterfall, each: Round) -> str:
    """The agent or tool the round is of, where it is not the run's own."""
    at = run.positions.get(each.owner)
    if at is None or run.rows[at].parent < 0:
        return ""
    span = run.rows[at].span
    return span.agent_name or span.tool_name or span.name


# -- rounds -----------------------------------------------------------------------------------------------------------


def _rounds(asked: Asked, run: Waterfall, whole: Run) -> dict[str, Any]:
    begin, pager = _page(asked, len(whole.rounds))
    decimals = _decimals(whole.rounds)
    rows, spent = [], Decimal(0)
    for at, each in enumerate(whole.rounds):
        spent += each.cost or 0
        if begin <= at < begin + _PAGE:
            span = each.call.span if each.call else None
            rows.append(
                {
                    "number": each.number,
                    "owner": _owner(run, each),
                    "span_id": span.span_id if span else "",
                    "model": each.answered_model or each.requested_model,
                    "finish_reason": each.finish_reason,
                    "input_tokens": formats.count(each.input_tokens) if span else "",
                    "output_tokens": formats.count(each.output_tokens) if span else "",
                    "cost": _cost(run, each, decimals),
                    "exact_cost": formats.exact(each.cost),
                    "running": formats.money(spent, decimals),
                    "duration": formats.duration(span.end - span.start) if span else "",
                    "actions": [_action(run, action) for action in each.actions],
                }
            )
    return {"round_rows": rows, "total_cost": formats.money(whole.cost, decimals), **pager}


# -- prompt -----------------------------------------------------------------------------------------------------------


def _prompt(_: Asked, run: Waterfall, whole: Run) -> dict[str, Any]:
    changes = prompts_of(whole.rounds)
    if not changes and whole.system_prompt:
        changes = [(0, whole.system_prompt)]
    numbered = {each.number: _owner(run, each) for each in whole.rounds}
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
            "schema": use.tool.schema[:_MAX_PART],
            "schema_cut": len(use.tool.schema) > _MAX_PART,
            "calls": use.tool.count,
            "errors": use.errors,
            "p50": "" if use.p50 is None else formats.duration(use.p50),
            "longest": "" if use.longest is None else formats.duration(use.longest),
            "span_id": use.span_id,
        }
        for use in tool_uses(whole)
    ]
    return {"tools": rows, "offered": len(rows), "called_tools": sum(tool.called for tool in whole.tools)}


def _json(asked: Asked, _: Waterfall, __: Run) -> dict[str, Any]:
    trace_id = asked.path["trace_id"].lower()
    return {
        "documents": [
            (f"/api/v1/runs/{trace_id}/export", "Export", "all of it in one document with a published schema"),
            (f"/api/v1/runs/{trace_id}/export?format=otlp", "Export as OTLP", "any receiver of OTLP has the run again"),
            (f"/api/v1/runs/{trace_id}/export?format=html", "Export as a page", "one file to hand on"),
            (
                f"/api/v1/runs/{trace_id}/export?format=html&audience=client",
                "Export as a page for a client",
                "without costs and attributes",
            ),
            (f"/api/v1/runs/{trace_id}/export?format=md", "Export as Markdown", "for an issue"),
            (f"/api/v1/runs/{trace_id}", "The run", "rounds with their actions, system prompt, tools, cost"),
            (f"/api/v1/runs/{trace_id}/spans", "Its spans in columns", "what the waterfall is drawn from"),
            (f"/api/v1/traces/{trace_id}", "Every span as it is stored", "all columns of the table, content included"),
        ]
    }


def _cost(run: Waterfall, each: Round, decimals: int) -> str:
    unpriced = each.call and each.call.span.span_id in run.unpriced
    return "unpriced" if unpriced else formats.money(each.cost, decimals)


def _decimals(rounds: Sequence[Round]) -> int:
    return formats.decimals_of(each.cost for each in rounds)


def _page(asked: Asked, number: int) -> tuple[int, dict[str, Any]]:
    text = asked.query.get("from", "")
    begin = min(int(text), number) if text.isascii() and text.isdecimal() and len(text) < 9 else 0
    return begin, {
        "from_round": begin,
        "all_rounds": number,
        "to_round": min(begin + _PAGE, number),
        "later": asked.without("from", **{"from": str(begin + _PAGE)}) if begin + _PAGE < number else "",
        "earlier": asked.without("from", **{"from": str(max(0, begin - _PAGE))}) if begin else "",
    }


_VIEWS: Final[Mapping[str, Callable[[Asked, Waterfall, Run], Mapping[str, Any]]]] = {
    "conversation": _conversation,
    "rounds": _rounds,
    "prompt": _prompt,
    "tools": _tools,
    "json": _json,
}
