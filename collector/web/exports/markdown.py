"""A run as Markdown for an issue tracker: bounded, and no text of it becomes markup, a mention or a link."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from collector.exports.document import NONE, Verdicts
from collector.web.exports.view import Audience, Line, RunView, Step, Text, run_view
from collector.web.pages import formats
from collector.web.unseen import visible

# Trackers take 65,536 characters.
MAX_CHARACTERS: Final = 60_000
_MAX_TEXT: Final = 4_000
_MAX_VERDICTS: Final = 50
_BETWEEN: Final = "\n\n"
_MORE: Final = "_The rest is left out: the run is too long for one text._\n"
_MAX_INLINE: Final = 120
_TICKS: Final = re.compile("`+")
_SPACE: Final = re.compile(r"\s+")
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def markdown(table: pa.Table, audience: Audience, verdicts: Verdicts = NONE) -> bytes:
    """The run whose spans `table` has: at most MAX_CHARACTERS characters."""
    view = run_view(table, audience, _MAX_TEXT, verdicts)
    left = MAX_CHARACTERS - len(_MORE)
    kept: list[str] = []
    for part in _parts(view):
        left -= len(part) + len(_BETWEEN)
        if left < 0:
            kept.append(_MORE)
            break
        kept.append(part)
    return (_BETWEEN.join(kept) + "\n").encode()


def _parts(view: RunView) -> Iterator[str]:
    yield f"# {inline(view.title)}"
    yield _facts(view)
    if errors := list(_errors(view)):
        yield "## Errors"
        yield "\n".join(errors)
    if verdicts := view.verdicts:
        yield "## Evaluations"
        yield "\n".join(_verdicts(verdicts))
    if prompt := view.run["system_prompt"]:
        yield "## System prompt"
        yield block(Text.of(prompt["text"], _MAX_TEXT))
    for step in view.steps:
        yield from _step(view, step)


def _facts(view: RunView) -> str:
    facts = {
        "Run": inline(view.run["trace_id"]),
        "Started": formats.full_time(int(view.run["started_at_unix_nano"])),
        "Duration": formats.duration(view.run["duration_nanoseconds"]),
        **({"Cost": formats.money(view.cost) or "unpriced"} if view.with_costs else {}),
        "Models": ", ".join(map(inline, view.models)) or "none",
        "Tokens": f"{formats.count(view.input_tokens)} in, {formats.count(view.output_tokens)} out",
        "Spans": formats.count(len(view.run["spans"])),
        "Errors": formats.count(view.run["errors"]),
    }
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())))


def _errors(view: RunView) -> Iterable[str]:
    failed = [span for span in view.run["spans"] if span["status"]["code"] == "Error"]
    for span in failed[:20]:
        yield f"- {inline(span['name'])}: {inline(span['status']['message'] or 'no message')}"
    if len(failed) > 20:
        yield f"- and {len(failed) - 20} more"


def _verdicts(verdicts: Sequence[tuple[str, str, str, str]]) -> Iterable[str]:
    for word, evaluator, span_id, reason in verdicts[:_MAX_VERDICTS]:
        where = f" of span {inline(span_id)}" if span_id else ""
        yield f"- {inline(word)} {inline(evaluator)}{where}{f': {inline(reason)}' if reason else ''}"
    if len(verdicts) > _MAX_VERDICTS:
        yield f"- and {len(verdicts) - _MAX_VERDICTS} more"


def _step(view: RunView, step: Step) -> Iterator[str]:
    found = step.round
    if not found["span_ids"]:
        yield "## Before any model call"
    else:
        cost = "" if not view.with_costs else f", {formats.money(found['cost']) or 'unpriced'}"
        yield f"## Model call {step.number}"
        yield (
            f"{inline(found['answered_model'] or found['requested_model'] or 'unknown')}, "
            f"{formats.duration(found['duration_nanoseconds'])}, {formats.count(found['input_tokens'])} tokens in, "
            f"{formats.count(found['output_tokens'])} out{cost}"
        )
    for line in (*step.before, *step.after):
        yield _line(line)
    for action in found["actions"]:
        yield from _action(action)


def _line(line: Line) -> str:
    return f"{inline(line.role)}\n\n{block(line.text)}"


def _action(action: dict[str, Any]) -> Iterator[str]:
    failed = ", **error**" if action["error"] else ""
    duration = formats.duration(action["duration_nanoseconds"])
    yield f"**{inline(action['kind'])}** {inline(action['name'])}, {duration}{failed}"
    for text in filter(None, (action["arguments"], action["result"])):
        yield block(Text.of(text, _MAX_TEXT))


def inline(text: str) -> str:
    """A text as code within a line or a cell of a table, cut where it is long."""
    plain = visible(_SPACE.sub(" ", text).strip()) or " "
    shown = plain if len(plain) <= _MAX_INLINE else plain[:_MAX_INLINE] + "\u2026"
    fence = _fence(shown, 1)
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}".replace("|", "\\|")


def block(text: Text) -> str:
    """A text as a block of code, which says so where it is cut."""
    shown = _CONTROL.sub("\ufffd", text.shown.replace("\r\n", "\n").replace("\r", "\n"))
    fence = _fence(shown, 3)
    cut = f"\n\nThe first {len(text.shown):,} of {text.characters:,} characters." if text.cut else ""
    return f"{fence}text\n{shown}\n{fence}{cut}"


def _fence(text: str, shortest: int) -> str:
    """More backticks than stand together anywhere in a text."""
    return "`" * max(shortest, 1 + max((len(found) for found in _TICKS.findall(text)), default=0))
