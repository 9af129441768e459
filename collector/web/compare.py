"""Handlers that set two runs, or the runs of two windows, side by side."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import islice
from typing import Any, Final

from pydantic import Field

from collector.model.money import decimal_text
from collector.model.principal import Principal
from collector.query.service import Query
from collector.runs import prompts_of, read_spans, run_of
from collector.runs.comparison import Pair, compared
from collector.runs.span import Span
from collector.runs.text_difference import Line, difference
from collector.runs.waterfall import Waterfall
from collector.web.compare_answers import (
    ComparedRun,
    ComparedRuns,
    ComparedSpan,
    ComparedWindow,
    ComparedWindows,
    FigureText,
    PromptLine,
    SpanPair,
)
from collector.web.figures import Figure, of_runs, of_windows
from collector.web.operation import Call, Input, Result, Services, answer
from collector.web.run_inputs import WindowsQuery
from collector.web.run_spans import waterfall_of
from collector.web.times import rfc3339

_MAX_PAIRS: Final = 10_000
_ID: Final[dict[str, Any]] = {"pattern": "^[0-9A-Fa-f]{32}$"}


class TwoRuns(Input):
    a: str = Field(description="The trace id of the first run.", json_schema_extra=_ID)
    b: str = Field(description="The trace id of the second.", json_schema_extra=_ID)


async def two_runs(services: Services, call: Call[None, TwoRuns, None]) -> Result:
    return await asyncio.to_thread(_two_runs, services.query, call.principal, call.query)


async def two_windows(services: Services, call: Call[None, WindowsQuery, None]) -> Result:
    asked = call.query.asked()
    other = call.query.other(asked)
    found = await asyncio.to_thread(services.query.kpis, call.principal, asked, other)
    return answer(
        ComparedWindows(
            a=_window(other, found.other.runs),
            b=_window((asked.since, asked.until), found.window.runs),
            figures=figures_json(of_windows(found.other, found.window)),
        )
    )


def first_prompts(query: Query, principal: Principal, trace_ids: Iterable[str]) -> list[str]:
    """Of each run the first system prompt that a call has sent; empty where none has."""
    texts = []
    for trace_id in trace_ids:
        changes = prompts_of(run_of(read_spans(query.run_spans(principal, trace_id))).rounds)
        texts.append(changes[0][1].text if changes else "")
    return texts


def name_of(run: Waterfall) -> str:
    return run.root.agent_name or run.root.name


def _two_runs(query: Query, principal: Principal, wanted: TwoRuns) -> Result:
    first, second = (waterfall_of(query, principal, trace_id)[0] for trace_id in (wanted.a, wanted.b))
    pairs = list(islice(compared(first.tree, second.tree), _MAX_PAIRS + 1))
    texts = first_prompts(query, principal, (wanted.a, wanted.b))
    lines = [_line(each) for each in difference(*texts)] if any(texts) else None
    return answer(
        ComparedRuns(
            a=_run(wanted.a, first),
            b=_run(wanted.b, second),
            figures=figures_json(of_runs(first, second)),
            spans=[_pair(pair, first, second) for pair in pairs[:_MAX_PAIRS]],
            truncated=len(pairs) > _MAX_PAIRS,
            prompt=lines,
        )
    )


def figures_json(figures: Sequence[Figure]) -> list[FigureText]:
    return [
        FigureText(
            name=one.name,
            unit=one.unit.value,
            a=_text(one.first),
            b=_text(one.second),
            difference=_text(one.difference),
            verdict=one.verdict.value if one.verdict else None,
        )
        for one in figures
    ]


def _text(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


def _run(trace_id: str, run: Waterfall) -> ComparedRun:
    return ComparedRun(
        trace_id=trace_id.lower(),
        name=name_of(run),
        started_at=rfc3339(run.start),
        started_at_unix_nano=str(run.start),
        duration_nanoseconds=run.end - run.start,
        complete=run.complete,
    )


def _line(line: Line) -> PromptLine:
    return PromptLine(mark=line.mark, text=line.text, line_a=line.before or None, line_b=line.after or None)


def _pair(pair: Pair, first: Waterfall, second: Waterfall) -> SpanPair:
    span = pair.first or pair.second
    assert span
    return SpanPair(
        depth=pair.depth, kind=span.kind, name=span.label, a=_side(pair.first, first), b=_side(pair.second, second)
    )


def _side(span: Span | None, run: Waterfall) -> ComparedSpan | None:
    if span is None:
        return None
    return ComparedSpan(
        span_id=span.span_id,
        start=(span.start - run.start) // 1000,
        duration=(span.end - span.start) // 1000,
        cost=_text(span.cost),
        error=span.error,
    )


def _window(window: tuple[int, int], runs: int) -> ComparedWindow:
    return ComparedWindow(since=rfc3339(window[0]), until=rfc3339(window[1]), runs=runs)
