"""The conversation of a run as its page shows it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from collector.errors import Reason, Rejected
from collector.model.evaluations import Evaluation
from collector.runs import Run
from collector.runs.conversation import Turn, conversation
from collector.runs.messages import Message
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats, verdicts
from collector.web.pages.folding import about, folded
from collector.web.pages.gallery import Gallery, shown_parts
from collector.web.pages.markdown import markdown
from collector.web.pages.page import Asked
from collector.web.pages.pretty import exact
from collector.web.pages.round_parts import MAX_LINE, PAGE, action_row, cost, cut, decimals_of, owner, page_of

_MAX_PART: Final = 4000
_MAX_PROMPT: Final = 400  # of a system prompt: it has a view of its own
_MAX_EXACT: Final = 64 * 1024
_MAX_ALL_EXACT: Final = 1024 * 1024
_AS: Final = {"text": "Text", "markdown": "Markdown", "exact": "Exact"}
_PROMPTS: Final = frozenset({"system", "developer"})  # roles


def conversation_view(asked: Asked, run: Waterfall, whole: Run) -> dict[str, Any]:
    turns, gallery = conversation(whole.rounds), Gallery()
    begin, pager = page_of(asked, len(turns))
    shown_turns = turns[begin : begin + PAGE]
    reading = _reading(asked, shown_turns, gallery)
    tops = {row.span.span_id for row in run.rows if row.parent < 0}
    on_paper = asked.query.get("view") == "print"
    unfolded = "unfold" in asked.query or on_paper
    groups = [(False, [turn]) for turn in shown_turns] if unfolded else list(folded(shown_turns, tops))
    judged = verdicts.found_of(asked, asked.path["trace_id"].lower())
    doubted = verdicts.doubted_of(asked, judged)
    decimals = decimals_of(whole.rounds)
    called = {tool.name: tool.count for tool in whole.tools}
    costs = [turn.round.cost for turn in turns]
    dearest = max((cost for cost in costs if cost is not None), default=Decimal(0))
    return {
        "groups": [
            {
                "about": about(group) if closed else None,
                "owner": owner(run, group[0].round) if group else "",
                "turns": [
                    {**_turn(run, turn, decimals, reading), "verdicts": _verdicts(run, turn, judged, doubted)}
                    for turn in group
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
                "owner": owner(run, turn.round),
                "cost": cost(run, turn.round, decimals),
                "share": f"{float(100 * (turn.round.cost or 0) / dearest) if dearest else 0:.1f}%",
            }
            for turn in turns
            if turn.round.number
        ][:PAGE],
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
        parts = shown_parts(message.parts, self.gallery, most, MAX_LINE)
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
        "owner": owner(run, each),
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
        "actions": [action_row(run, action) for action in turn.actions],
        "unanswered": [
            {"name": call.name, "arguments": cut(call.arguments), "result": cut(found.text) if found else None}
            for call, found in turn.unanswered
        ],
        "cost": cost(run, each, decimals),
        "exact_cost": formats.exact(each.cost),
        "tokens": f"{formats.count(each.input_tokens)} › {formats.count(each.output_tokens)}" if span else "",
        "duration": formats.duration(span.end - span.start) if span else "",
        "failed": bool(span and span.error),
        "error": run.messages.get(span.span_id, "") if span else "",
    }


def _verdicts(
    run: Waterfall, turn: Turn, judged: Sequence[Evaluation], doubted: Collection[str]
) -> Sequence[dict[str, str]]:
    """Those of the call of a turn."""
    call = turn.round.call
    return verdicts.of_span(judged, call.span.span_id, run.received, doubted) if call else ()
