"""The page of one span, which is also the drawer of a run: facts, receipt, and its texts."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup

from collector.enrich.receipt import Receipt, amount_text, rate_text, receipt, unpriced_because
from collector.errors import Reason, Rejected
from collector.model.facts import Kind
from collector.model.money import usd_text
from collector.query.spans import Side
from collector.runs import Messages, messages, read_spans
from collector.runs.conversation import repeated
from collector.runs.waterfall import Waterfall
from collector.web.pages import formats, verdicts
from collector.web.pages.gallery import Gallery, shown_parts
from collector.web.pages.markdown import markdown
from collector.web.pages.page import Asked, Shown
from collector.web.pages.pretty import pretty
from collector.web.pages.run import VIEWS, head, load
from collector.web.run_spans import SpanPath, no_span, span_json
from collector.web.span_answers import SpanAnswer

_MAX_MESSAGES_BYTES: Final = 2 * 1024 * 1024  # a longer conversation, media included, is read as it was sent
_MAX_SAID: Final = 256 * 1024  # characters of a conversation without its media
_MAX_OTHER: Final = 200
_MIN_FOLDED: Final = 3  # messages
PREVIEW_BYTES: Final = 64 * 1024
MAX_MARKDOWN_BYTES: Final = 256 * 1024
MAX_JSON_BYTES: Final = 1024 * 1024
_BUCKETS: Final = {
    "input": "input",
    "cache_read": "cache read",
    "cache_write": "cache write, 5 min",
    "cache_write_1h": "cache write, 1 h",
    "output": "output",
    "reasoning": "output, reasoning",
    "request": "request",
    "time": "time",
}


async def page(asked: Asked) -> Shown:
    return await asyncio.to_thread(_page, asked)


def _page(asked: Asked) -> Shown:
    context = about(asked, asked.path["span_id"])
    run, _ = load(asked)
    context |= head(asked, run) | {"span_id": asked.path["span_id"], "view": "", "views": VIEWS}
    context |= _place(run, asked.path["span_id"]) | _as_before(asked, run, context["exact_messages"])
    name = context["span"]["title"]
    return Shown("span.html", name, "Runs", context, ("span_page",))


async def text_page(asked: Asked) -> Shown:
    """A text of a span as Markdown, or with `as=json` as JSON."""
    return await asyncio.to_thread(_text_page, asked)


def _text_page(asked: Asked) -> Shown:
    query, who, trace_id, span_id = asked.services.query, asked.principal, asked.path["trace_id"], asked.path["span_id"]
    rows = query.span(who, trace_id, span_id).to_pylist()
    if not rows:
        raise no_span(SpanPath(trace_id=trace_id, span_id=span_id), who.project)
    if asked.path["side"] not in {Side.INPUT.value, Side.OUTPUT.value}:
        raise Rejected(Reason.NOT_FOUND, f"The texts of a span are input and output, not {asked.path['side'][:40]!r}.")
    side, span, as_json = (
        Side(asked.path["side"]),
        span_json(rows[0]),
        asked.choice("as", ("markdown", "json")) == "json",
    )
    most = MAX_JSON_BYTES if as_json else MAX_MARKDOWN_BYTES
    found = query.span_text(who, trace_id, span_id, side, "", 0, most + 1)
    if found and len(found.part) > most:
        raise Rejected(Reason.TOO_LARGE, "This text is too long to be shown like this: read it as it was sent.")
    text = found.part.decode("utf-8", "replace") if found else ""
    if as_json:
        return Shown("span_json.html", span["name"], "Runs", {"json": pretty(text)}, ("views",))
    return Shown("span_markdown.html", span["name"], "Runs", {"parts": _markdown(asked, span, side, text)}, ("views",))


def _markdown(asked: Asked, span: SpanAnswer, side: Side, text: str) -> list[tuple[str, Markup]]:
    """The text parts of messages where it has them, else the text as it is."""
    messages = _messages(asked, span, asked.path["span_id"])
    said = (messages.input if side is Side.INPUT else messages.output) if messages else ()
    parts = [(message.role, part.text) for message in said for part in message.parts if part.kind == "text"]
    return [(role, markdown(part)) for role, part in parts or [("", text)] if part]


def about(asked: Asked, span_id: str) -> dict[str, Any]:
    """What the template of a span shows. Raises Rejected when there is no such span."""
    query, who, trace_id = asked.services.query, asked.principal, asked.path["trace_id"]
    rows = query.span(who, trace_id, span_id).to_pylist()
    if not rows:
        raise no_span(SpanPath(trace_id=trace_id, span_id=span_id), who.project)
    row = rows[0]
    span = span_json(row)
    bill = receipt(row)
    said = _messages(asked, span, span_id)
    texts = {side: _text(asked, span, side) for side in (Side.INPUT, Side.OUTPUT)}
    judged = verdicts.found_of(asked, trace_id)
    return {
        "span": {**span, "title": _title(span), "receipt_lines": _lines(bill), "why_unpriced": _why(span)},
        "bill": bill,
        "adds_up": span["receipt"]["total"] is not None
        and bill.lines != ()
        and usd_text(bill.total) == span["receipt"]["total"],
        "total_tokens": sum(line.quantity or 0 for line in bill.lines if line.unit == "tokens"),
        "texts": texts,
        "max_markdown": MAX_MARKDOWN_BYTES,
        "max_json": MAX_JSON_BYTES,
        "messages": _shown(said),
        "exact_messages": said,
        "override": _override(span),
        "span_verdicts": verdicts.of_span(judged, span_id.lower(), 0, verdicts.doubted_of(asked, judged)),
        "span_labels": verdicts.labels_of(asked, judged, span_id.lower()),
        "api": f"/api/v1/runs/{trace_id.lower()}/spans/{span_id.lower()}",
    }


def _as_before(asked: Asked, run: Waterfall, said: Messages | None) -> dict[str, int]:
    """How many messages of a call its agent's round before had too, and which round that is: they are folded."""
    at = run.positions.get(asked.path["span_id"].lower())
    number = run.rounds.index(at) if at in run.rounds else 0
    ids = [run.rows[row].span.span_id for row in run.rounds[: number + 1]]
    owner = run.tree.owner(ids[-1]) if number else ""
    before = next((place for place in range(number - 1, -1, -1) if run.tree.owner(ids[place]) == owner), None)
    if said is None or before is None:
        return {}
    found = read_spans(asked.services.query.run_span(asked.principal, asked.path["trace_id"], ids[before]))
    same = repeated(messages(found[0]), said.input) if found else 0
    return {"repeated": same, "repeated_round": before + 1} if same >= _MIN_FOLDED else {}


def _place(run: Waterfall, span_id: str) -> dict[str, Any]:
    at = run.positions.get(span_id.lower())
    if at is None:
        return {"place": "", "share": "", "peer": ""}
    span = run.rows[at].span
    begins, ends = (formats.duration(moment - run.start) for moment in (span.start, span.end))
    number = next((number for number, row in enumerate(run.rounds, 1) if row == at), None)
    total = run.cost
    share = formats.percent(float(span.cost / total)) + " of the run" if span.cost and total else ""
    if share and span.cost == max(row.span.cost or 0 for row in run.rows):
        share += ", dearest"
    name = span.label
    peers = [row.span.span_id for row in run.rows if row.span.kind == span.kind and row.span.label == name]
    peer = peers[(peers.index(span.span_id) + 1) % len(peers)] if len(peers) > 1 else ""
    place = f"round {number} of {len(run.rounds)} · " if number else ""
    return {"place": f"{place}{begins} to {ends}", "share": share, "peer": peer}


def _title(span: SpanAnswer) -> str:
    own = {Kind.TOOL.value: span["tool_name"], Kind.AGENT.value: span["agent_name"]}.get(span["kind"], "")
    return own or span["name"] or "(no name)"


def _lines(bill: Receipt) -> list[dict[str, str]]:
    cached = any(line.bucket.startswith("cache") for line in bill.lines)
    return [
        {
            "bucket": "input, uncached"
            if line.bucket == "input" and cached
            else _BUCKETS.get(line.bucket, line.bucket.replace("_", " ")),
            "quantity": "" if line.quantity is None else f"{line.quantity:,}",
            "unit": line.unit,
            "rate": "" if line.rate is None else f"${rate_text(line.rate)}",
            "amount": f"${amount_text(line)}",
        }
        for line in bill.lines
    ]


def _why(span: SpanAnswer) -> str:
    return "" if span["receipt"]["total"] is not None else unpriced_because(span["receipt"]["status"])


def _override(span: SpanAnswer) -> str:
    """What to paste into the settings for a model without a price."""
    model = span["answered_model"] or span["requested_model"]
    if span["receipt"]["status"] != "unknown_model" or not model:
        return ""
    provider = f"\n      provider: {json.dumps(span['provider'])}" if span["provider"] else ""
    return (
        f"pricing:\n  overrides:\n    - model: {json.dumps(model)}{provider}\n"
        "      input: 0.00   # USD per million tokens\n      output: 0.00"
    )


def _text(asked: Asked, span: SpanAnswer, side: Side) -> dict[str, Any]:
    """A text with its sizes; its beginning for who has no scripts, which the drawer does not ask for."""
    about_it = span["input"] if side is Side.INPUT else span["output"]
    preview = ""
    if about_it["bytes"] and "part" not in asked.query:
        part = asked.services.query.span_text(
            asked.principal, span["trace_id"], span["span_id"], side, "", 0, PREVIEW_BYTES
        )
        preview = part.part.decode("utf-8", "replace") if part else ""
    return {
        **about_it,
        "preview": preview,
        "cut": about_it["bytes"] > PREVIEW_BYTES,
        "size": formats.size(about_it["bytes"]),
    }


def _shown(found: Messages | None) -> dict[str, Any] | None:
    """A conversation for the template, where it is short enough to be read there."""
    if found is None:
        return None
    gallery = Gallery()
    sides: dict[str, list[dict[str, Any]]] = {
        name: [
            {
                "role": message.role,
                "parts": shown_parts(message.parts, gallery, _MAX_SAID, _MAX_OTHER),
                "calls": message.calls,
                "results": message.results,
            }
            for message in side
        ]
        for name, side in (("input", found.input), ("output", found.output))
    }
    return sides if _characters(sides) <= _MAX_SAID else None


def _characters(sides: Mapping[str, Sequence[Mapping[str, Any]]]) -> int:
    """Of a conversation as it is shown."""
    said = [message for side in sides.values() for message in side]
    return (
        sum(len(part["text"]) for message in said for part in message["parts"])
        + sum(len(call.arguments) for message in said for call in message["calls"])
        + sum(len(result.text) for message in said for result in message["results"])
    )


def _messages(asked: Asked, span: SpanAnswer, span_id: str) -> Messages | None:
    """The conversation of a model call."""
    if span["kind"] != Kind.LLM or span["input"]["bytes"] + span["output"]["bytes"] > _MAX_MESSAGES_BYTES:
        return None
    found = read_spans(asked.services.query.run_span(asked.principal, span["trace_id"], span_id))
    conversation = messages(found[0]) if found else Messages()
    return conversation if conversation.input or conversation.output else None
