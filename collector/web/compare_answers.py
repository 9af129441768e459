"""The shapes of answers that set two runs, or two windows, side by side."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.web.answers import Instant, UnixNano, Usd

Value = Annotated[str | None, Field(description="A decimal string in the figure's unit; null where it is not known.")]


class FigureText(TypedDict):
    name: str
    unit: Literal["usd", "nanoseconds", "count", "fraction"]
    a: Value
    b: Value
    difference: Annotated[str | None, Field(description="`b` less `a`; null where one is not known.")]
    verdict: Annotated[
        Literal["better", "worse"] | None, Field(description="What `b` is beside `a`; null where they are the same.")
    ]


class ComparedRun(TypedDict):
    trace_id: str
    name: str
    started_at: Instant
    started_at_unix_nano: UnixNano
    duration_nanoseconds: int
    complete: bool


class ComparedSpan(TypedDict):
    span_id: str
    start: Annotated[int, Field(description="Microseconds from the start of its run.")]
    duration: Annotated[int, Field(description="Microseconds.")]
    cost: Usd | None
    error: bool


class SpanPair(TypedDict):
    """A span of one run and the one at its place in the other."""

    depth: int
    kind: str
    name: str
    a: ComparedSpan | None
    b: ComparedSpan | None


class PromptLine(TypedDict):
    mark: Annotated[
        str, Field(description="`-` only in a, `+` only in b, a space in both; `…`: lines are left out; `!`: a remark.")
    ]
    text: str
    line_a: Annotated[int | None, Field(description="Number of the line in a, from 1; null where it is not in a.")]
    line_b: Annotated[int | None, Field(description="Number of the line in b.")]


class ComparedRuns(TypedDict):
    a: ComparedRun
    b: ComparedRun
    figures: Sequence[FigureText]
    spans: Annotated[Sequence[SpanPair], Field(description="Aligned by name and order, parents before children.")]
    truncated: Annotated[bool, Field(description="Whether there are more pairs than an answer has.")]
    prompt: Annotated[
        Sequence[PromptLine] | None, Field(description="Lines of the first system prompts; null where neither has one.")
    ]


class ComparedWindow(TypedDict):
    since: Instant
    until: Instant
    runs: int


class ComparedWindows(TypedDict):
    a: ComparedWindow
    b: ComparedWindow
    figures: Sequence[FigureText]
