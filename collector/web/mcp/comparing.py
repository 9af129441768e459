"""The tool that compares: two runs, or two windows of time."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.errors import Reason, Rejected
from collector.web.mcp.marking import NOTICE, Recorded
from collector.web.mcp.shortening import Usd, limit_of, line, usd, whole
from collector.web.mcp.tool import Asker
from collector.web.operation import Input

_MAX_PAIRS: Final = 50


class Compare(Input):
    a: str | None = Field(None, description="Trace id of the first run; with b.")
    b: str | None = Field(None, description="Trace id of the second; without both, two windows are compared.")
    since: str | None = Field(None, description="Window b begins here, ISO 8601; default: seven days before until.")
    until: str | None = Field(None, description="... and ends here; default: now.")
    other_since: str | None = Field(None, description="Window a begins here; default: just before b, as long.")
    other_until: str | None = None
    service: str | None = Field(None, description="Only runs of this service; windows only, as are those below.")
    agent: str | None = None
    model: str | None = None
    feature: str | None = None
    limit: Annotated[int, whole(1, _MAX_PAIRS), limit_of(_MAX_PAIRS)] = Field(
        10, description="How many pairs of spans of two runs."
    )


class FigureLine(TypedDict):
    name: str
    unit: str
    a: str | None
    b: str | None
    difference: Annotated[str | None, Field(description="b less a.")]
    verdict: Annotated[str | None, Field(description="What b is beside a: better, worse, or null.")]


class SpanDifference(TypedDict):
    kind: str
    name: str
    a_span_id: str | None
    b_span_id: str | None
    a_cost_usd: Usd
    b_cost_usd: Usd
    a_seconds: float | None
    b_seconds: float | None


class Side(TypedDict):
    what: Annotated[str, Field(description="The run's name, or the window.")]
    trace_id: str | None
    started_at: str


class Compared(Recorded):
    compared: Literal["runs", "windows"]
    a: Side
    b: Side
    figures: Sequence[FigureLine]
    spans: Annotated[Sequence[SpanDifference], Field(description="Of two runs, whose costs differ most, then times.")]
    prompts_differ: Annotated[bool | None, Field(description="Whether the first system prompts do; null for windows.")]


async def compare(asker: Asker, wanted: Compare) -> Compared:
    if (wanted.a is None) != (wanted.b is None):
        raise Rejected(Reason.MALFORMED, "a and b are given together, or neither: then two windows are compared.")
    return await (_runs(asker, wanted) if wanted.a else _windows(asker, wanted))


async def _runs(asker: Asker, wanted: Compare) -> Compared:
    found = await asker.ask("compare_runs", query={"a": wanted.a, "b": wanted.b})
    pairs = sorted(found["spans"], key=_difference, reverse=True)
    prompt = found["prompt"]
    return Compared(
        notice=NOTICE,
        compared="runs",
        a=_run(found["a"]),
        b=_run(found["b"]),
        figures=[_figure(figure) for figure in found["figures"]],
        spans=[_pair(pair) for pair in pairs[: wanted.limit]],
        prompts_differ=any(each["mark"] in {"+", "-"} for each in prompt or ()),
    )


async def _windows(asker: Asker, wanted: Compare) -> Compared:
    found = await asker.ask("compare_windows", query=wanted.model_dump(exclude={"a", "b", "limit"}))
    return Compared(
        notice=NOTICE,
        compared="windows",
        a=_window(found["a"]),
        b=_window(found["b"]),
        figures=[_figure(figure) for figure in found["figures"]],
        spans=[],
        prompts_differ=None,
    )


def _difference(pair: Mapping[str, Any]) -> tuple[Decimal, int]:
    costs = [Decimal(side["cost"] or 0) if side else Decimal(0) for side in (pair["a"], pair["b"])]
    times = [side["duration"] if side else 0 for side in (pair["a"], pair["b"])]
    return abs(costs[0] - costs[1]), abs(times[0] - times[1])


def _pair(pair: Mapping[str, Any]) -> SpanDifference:
    a, b = pair["a"] or {}, pair["b"] or {}
    return SpanDifference(
        kind=pair["kind"],
        name=line(pair["name"]),
        a_span_id=a.get("span_id"),
        b_span_id=b.get("span_id"),
        a_cost_usd=usd(a.get("cost")),
        b_cost_usd=usd(b.get("cost")),
        a_seconds=a["duration"] / 10**6 if a else None,
        b_seconds=b["duration"] / 10**6 if b else None,
    )


def _run(run: Mapping[str, Any]) -> Side:
    return Side(what=line(run["name"]), trace_id=run["trace_id"], started_at=run["started_at"])


def _window(window: Mapping[str, Any]) -> Side:
    return Side(what=f"{window['runs']} runs until {window['until']}", trace_id=None, started_at=window["since"])


def _figure(figure: Mapping[str, Any]) -> FigureLine:
    return FigureLine(
        name=figure["name"],
        unit=figure["unit"],
        a=usd(figure["a"]),
        b=usd(figure["b"]),
        difference=usd(figure["difference"]),
        verdict=figure["verdict"],
    )
