"""Rounds as the views of a run show them: actions, whose they are, what they cost, page by page."""

from collections.abc import Sequence
from typing import Any, Final

from collector.runs import Action, Round
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats
from collector.web.pages.page import Asked

PAGE: Final = 200  # rounds
MAX_LINE: Final = 160


def action_row(run: Waterfall, action: Action) -> dict[str, Any]:
    span = action.span
    return {
        "kind": span.kind,
        "name": action.name,
        "span_id": span.span_id,
        "arguments": cut(action.arguments),
        "result": cut(action.result or run.messages.get(span.span_id, "")),
        "error": action.error,
        "duration": formats.duration(span.end - span.start),
    }


def cut(text: str) -> dict[str, Any]:
    """A line of a text, and how long the whole is."""
    return {"text": text[:MAX_LINE], "characters": len(text), "cut": len(text) > MAX_LINE}


def owner(run: Waterfall, each: Round) -> str:
    """The agent or tool the round is of, where it is not the run's own."""
    at = run.positions.get(each.owner)
    if at is None or run.rows[at].parent < 0:
        return ""
    span = run.rows[at].span
    return span.agent_name or span.tool_name or span.name


def cost(run: Waterfall, each: Round, decimals: int) -> str:
    unpriced = each.call and each.call.span.span_id in run.unpriced
    return "unpriced" if unpriced else formats.money(each.cost, decimals)


def decimals_of(rounds: Sequence[Round]) -> int:
    return formats.decimals_of(each.cost for each in rounds)


def page_of(asked: Asked, number: int) -> tuple[int, dict[str, Any]]:
    begin = min(asked.number("from", 0), number)
    return begin, {
        "from_round": begin,
        "all_rounds": number,
        "to_round": min(begin + PAGE, number),
        "later": asked.without("from", **{"from": str(begin + PAGE)}) if begin + PAGE < number else "",
        "earlier": asked.without("from", **{"from": str(max(0, begin - PAGE))}) if begin else "",
    }
