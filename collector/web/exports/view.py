"""A run as the documents for people show it: of texts the beginning, of spans and rounds as many as a file may hold."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import takewhile
from typing import Any, Final

import pyarrow as pa

from collector.exports.document import NONE, Verdicts, run_document
from collector.exports.shapes import RunExport
from collector.runs import Message, Round, Run, read_spans, run_of

MAX_SPANS: Final = 2_000


class Audience(StrEnum):
    """Who will read a document."""

    TEAM = "team"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class Text:
    """The beginning of a text, and how many characters all of it has."""

    shown: str
    characters: int

    @classmethod
    def of(cls, text: str, limit: int) -> "Text":
        return cls(text[:limit], len(text))

    @property
    def cut(self) -> bool:
        return len(self.shown) < self.characters


@dataclass(frozen=True, slots=True)
class Line:
    """What someone said, or asked a tool for, or a tool answered."""

    role: str
    text: Text


@dataclass(frozen=True, slots=True)
class Step:
    """One round: what was new in its input, what came back, what it caused."""

    number: int
    round: dict[str, Any]
    before: Sequence[Line]
    after: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Bar:
    """One span in the waterfall; `x` and `width` are thousandths of the run."""

    span: dict[str, Any]
    depth: int
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, its rounds and its spans. For a client nothing names a price, a cost or an attribute.

    `steps` can be read once: each conversation is read from its texts when it is asked for.
    """

    run: RunExport
    audience: Audience
    steps: Iterable[Step]
    bars: Sequence[Bar]

    @property
    def title(self) -> str:
        return str(self.run["spans"][0]["name"]) or "run"

    @property
    def models(self) -> Sequence[str]:
        named = (each["answered_model"] or each["requested_model"] for each in self.run["rounds"])
        return sorted({model for model in named if model})

    @property
    def with_costs(self) -> bool:
        return self.audience is Audience.TEAM

    @property
    def verdicts(self) -> Sequence[tuple[str, str, str, str]]:
        """Of each evaluation what was found, by whom, of which span, and why; for a client of the run alone, without
        the words of judges.
        """
        with_reasons = self.with_costs
        return [
            (
                each["verdict"] or each["label"] or each["status"],
                each["evaluator"] + (" (uncalibrated judge)" if each["calibrated"] is False else ""),
                each["span_id"],
                (each["reason"] or each["error_type"]) if with_reasons else "",
            )
            for each in self.run["evaluations"]
            if with_reasons or (not each["span_id"] and each["verdict"])
        ]

    @property
    def cost(self) -> Decimal | None:
        cost = self.run["cost"]
        return None if cost is None else Decimal(cost)

    @property
    def input_tokens(self) -> int:
        return sum(each["input_tokens"] for each in self.run["rounds"])

    @property
    def output_tokens(self) -> int:
        return sum(each["output_tokens"] for each in self.run["rounds"])


def run_view(table: pa.Table, audience: Audience, max_text: int, verdicts: Verdicts = NONE) -> RunView:
    """The view of the run whose spans `table` has; texts are cut to `max_text` characters."""
    run = run_of(read_spans(table))
    document = run_document(table, run, verdicts)
    return RunView(document, audience, _steps(run, document, max_text), _bars(document))


def _steps(run: Run, document: RunExport, max_text: int) -> Iterable[Step]:
    known: Sequence[Message] = ()
    for entry, shape in zip(run.rounds, document["rounds"], strict=True):
        said = entry.messages.input
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(known, said, strict=False)))
        yield Step(entry.number, dict(shape), _lines(said[shared:], max_text), _lines(_answer(entry), max_text))
        known = said or known


def _answer(entry: Round) -> Sequence[Message]:
    return entry.messages.output


def _lines(messages: Iterable[Message], max_text: int) -> Sequence[Line]:
    lines: list[Line] = []
    for message in messages:
        lines += (
            Line(message.role if part.kind == "text" else f"{message.role}, {part.kind}", Text.of(part.text, max_text))
            for part in message.parts
        )
        lines += (Line(f"asks for {call.name}", Text.of(call.arguments, max_text)) for call in message.calls)
        lines += (
            Line(f"answer of {found.name or 'a tool'}", Text.of(found.text, max_text)) for found in message.results
        )
    return lines


def _bars(document: RunExport) -> Sequence[Bar]:
    start, length = int(document["started_at_unix_nano"]), max(document["duration_nanoseconds"], 1)
    depths: dict[str, int] = {}
    bars = []
    for span in document["spans"][:MAX_SPANS]:
        depth = depths.get(span["parent_span_id"], -1) + 1
        depths[span["span_id"]] = depth
        x = (int(span["ended_at_unix_nano"]) - span["duration_nanoseconds"] - start) / length * 1000
        bars.append(Bar(dict(span), depth, round(x, 1), round(max(span["duration_nanoseconds"] / length * 1000, 2), 1)))
    return bars
