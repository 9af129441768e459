"""The tools that open a run: its rounds and what they cost, and its spans."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from collector.web.mcp.marking import NOTICE, Recorded
from collector.web.mcp.shortening import NextCursor, Position, Usd, limit_of, line, page, seconds, usd, whole
from collector.web.mcp.tool import Asker
from collector.web.operation import Input

_MAX_ROUNDS: Final = 50
_MAX_ACTIONS: Final = 10
_MAX_MODELS: Final = 10
_MAX_TOOLS: Final = 20
_MAX_SPANS: Final = 100
_MAX_VERDICTS: Final = 20
_TRACE_ID: Final = "32 hexadecimal digits."
_COUNTED: Final = ("input_tokens", "output_tokens")


class GetRun(Input):
    trace_id: str = Field(description=_TRACE_ID)
    sort: str = Field(
        "number", description="Rounds in order, or the dearest first.", json_schema_extra={"enum": ["number", "cost"]}
    )
    limit: Annotated[int, whole(1, _MAX_ROUNDS), limit_of(_MAX_ROUNDS)] = Field(10, description="Rounds.")
    cursor: Position = Field(0, description="next_cursor of the page before.")


class ActionLine(TypedDict):
    span_id: str
    kind: str
    name: str
    error: bool
    arguments_bytes: int
    result_bytes: int


class RoundLine(TypedDict):
    round: int
    span_id: str | None
    model: str
    input_tokens: int
    output_tokens: int
    cost_usd: Usd
    seconds: float | None
    finish_reason: str
    actions: Annotated[Sequence[ActionLine], Field(description=f"{_MAX_ACTIONS} at most.")]
    more_actions: int


class ModelShare(TypedDict):
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: Usd


class ToolLine(TypedDict):
    name: str
    calls: int


class VerdictLine(TypedDict):
    evaluator: str
    found: Annotated[str, Field(description="pass, fail, a label, error or skipped.")]
    score: float | None
    span_id: Annotated[str | None, Field(description="Null for the run as a whole.")]
    reason: str


class RunOpened(Recorded):
    trace_id: str
    started_at: str
    seconds: float
    complete: Annotated[bool, Field(description="Whether a root has come, and the parent of every other span.")]
    spans: int
    errors: int
    cost_usd: Usd
    unpriced_calls: int
    by_model: Annotated[Sequence[ModelShare], Field(description=f"Dearest first, {_MAX_MODELS} at most.")]
    tools: Annotated[Sequence[ToolLine], Field(description=f"Most calls first, {_MAX_TOOLS} at most.")]
    system_prompt_characters: int
    content_expired: bool
    evaluations: Annotated[
        Sequence[VerdictLine], Field(description=f"What did not pass first, {_MAX_VERDICTS} at most.")
    ]
    evaluations_in_all: int
    rounds_in_all: int
    rounds: Sequence[RoundLine]
    next_cursor: NextCursor


async def get_run(asker: Asker, wanted: GetRun) -> RunOpened:
    path = {"trace_id": wanted.trace_id}
    run = await asker.ask("get_run", path=path)
    spans = await asker.ask("list_run_spans", path=path)
    durations = dict(zip(spans["columns"]["span_id"], spans["columns"]["duration"], strict=True))
    rounds = run["rounds"]
    if wanted.sort == "cost":
        rounds = sorted(rounds, key=lambda each: _amount(each["cost"]), reverse=True)
    shown, following = page([_round(each, durations) for each in rounds], wanted.cursor, wanted.limit)
    prompt = run["system_prompt"]
    return RunOpened(
        notice=NOTICE,
        trace_id=run["trace_id"],
        started_at=spans["started_at"],
        seconds=seconds(spans["duration_nanoseconds"]),
        complete=spans["complete"],
        spans=run["spans"],
        errors=len(spans["errors"]),
        cost_usd=usd(run["cost"]),
        unpriced_calls=len(spans["unpriced"]),
        by_model=_by_model(run["rounds"]),
        tools=_tools(run["tools"]),
        system_prompt_characters=prompt["characters"] if prompt else 0,
        content_expired=run["content_expired"],
        evaluations=_verdicts(run["evaluations"]),
        evaluations_in_all=len(run["evaluations"]),
        rounds_in_all=len(rounds),
        rounds=shown,
        next_cursor=following,
    )


def _round(each: Mapping[str, Any], durations: Mapping[str, int]) -> RoundLine:
    microseconds = durations.get(each["span_id"])
    return RoundLine(
        round=each["number"],
        span_id=each["span_id"],
        model=line(each["answered_model"] or each["requested_model"]),
        input_tokens=each["input_tokens"],
        output_tokens=each["output_tokens"],
        cost_usd=usd(each["cost"]),
        seconds=None if microseconds is None else microseconds / 10**6,
        finish_reason=line(each["finish_reason"]),
        actions=[_action(action) for action in each["actions"][:_MAX_ACTIONS]],
        more_actions=max(0, len(each["actions"]) - _MAX_ACTIONS),
    )


def _action(action: Mapping[str, Any]) -> ActionLine:
    return ActionLine(
        span_id=action["span_id"],
        kind=action["kind"],
        name=line(action["name"]),
        error=action["error"],
        arguments_bytes=len(action["arguments"].encode()),
        result_bytes=len(action["result"].encode()),
    )


def _by_model(rounds: Sequence[Mapping[str, Any]]) -> list[ModelShare]:
    shares: dict[str, list[Mapping[str, Any]]] = {}
    for each in rounds:
        if each["span_id"]:
            shares.setdefault(line(each["answered_model"] or each["requested_model"]), []).append(each)
    dearest = sorted(shares.items(), key=lambda share: _sum(share[1]) or Decimal(-1), reverse=True)
    return [_share(model, calls) for model, calls in dearest[:_MAX_MODELS]]


def _share(model: str, calls: Sequence[Mapping[str, Any]]) -> ModelShare:
    cost = _sum(calls)
    counts = {name: sum(each[name] for each in calls) for name in _COUNTED}
    return ModelShare(
        model=model,
        calls=len(calls),
        input_tokens=counts["input_tokens"],
        output_tokens=counts["output_tokens"],
        cost_usd=None if cost is None else usd(f"{cost:f}"),
    )


def _sum(calls: Sequence[Mapping[str, Any]]) -> Decimal | None:
    priced = [Decimal(each["cost"]) for each in calls if each["cost"] is not None]
    return sum(priced, Decimal(0)) if priced else None


def _amount(cost: str | None) -> Decimal:
    return Decimal(-1) if cost is None else Decimal(cost)


def _verdicts(found: Sequence[Mapping[str, Any]]) -> list[VerdictLine]:
    worst = sorted(found, key=lambda one: _RANKS.get(one["verdict"] or one["status"], 1))
    return [
        VerdictLine(
            evaluator=line(one["evaluator"]),
            found=line(one["verdict"] or (one["label"] if one["status"] == "ok" else "") or one["status"])
            + (" (uncalibrated judge)" if one["calibrated"] is False else ""),
            score=one["score"],
            span_id=one["span_id"] or None,
            reason=line(one["reason"] or one["error_type"]),
        )
        for one in worst[:_MAX_VERDICTS]
    ]


_RANKS: Final = {"fail": 0, "pass": 3, "skipped": 2}


def _tools(tools: Sequence[Mapping[str, Any]]) -> list[ToolLine]:
    most = sorted(tools, key=lambda tool: -tool["calls"])
    return [ToolLine(name=line(tool["name"]), calls=tool["calls"]) for tool in most[:_MAX_TOOLS]]


# -- spans ------------------------------------------------------------------------------------------------------------


class ListSpans(Input):
    trace_id: str = Field(description=_TRACE_ID)
    kind: str | None = Field(None, json_schema_extra={"enum": ["llm", "tool", "agent", "eval", "internal"]})
    errors_only: bool = False
    sort: str = Field(
        "time", description="Highest first, but for time.", json_schema_extra={"enum": ["time", "cost", "duration"]}
    )
    limit: Annotated[int, whole(1, _MAX_SPANS), limit_of(_MAX_SPANS)] = 20
    cursor: Position = Field(0, description="next_cursor of the page before.")


class SpanLine(TypedDict):
    span_id: str
    parent_span_id: Annotated[str | None, Field(description="Null where it has none here.")]
    kind: str
    name: str
    model: str
    start_seconds: Annotated[float, Field(description="From the start of the run.")]
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_usd: Usd
    error: Annotated[str | None, Field(description="The beginning of its status message; null where it did not fail.")]


class SpansListed(Recorded):
    trace_id: str
    spans_in_all: Annotated[int, Field(description="Of the run.")]
    matching: Annotated[int, Field(description="Spans that are listed on all pages.")]
    truncated: Annotated[bool, Field(description="Whether the run has more spans than are looked at.")]
    spans: Sequence[SpanLine]
    next_cursor: NextCursor


async def list_spans(asker: Asker, wanted: ListSpans) -> SpansListed:
    found = await asker.ask("list_run_spans", path={"trace_id": wanted.trace_id})
    texts, columns, errors = (
        found["texts"],
        found["columns"],
        {each["row"]: each["message"] for each in found["errors"]},
    )
    kinds = [texts[number] for number in columns["kind"]]
    rows = [
        row
        for row, kind in enumerate(kinds)
        if wanted.kind in (None, kind) and (row in errors or not wanted.errors_only)
    ]
    if wanted.sort == "cost":
        rows.sort(key=lambda row: _amount(columns["cost"][row]), reverse=True)
    elif wanted.sort == "duration":
        rows.sort(key=lambda row: columns["duration"][row], reverse=True)
    else:
        rows.sort(key=lambda row: columns["start"][row])
    shown, following = page([_span(row, columns, texts, errors) for row in rows], wanted.cursor, wanted.limit)
    return SpansListed(
        notice=NOTICE,
        trace_id=found["trace_id"],
        spans_in_all=found["spans"],
        matching=len(rows),
        truncated=found["truncated"],
        spans=shown,
        next_cursor=following,
    )


def _span(row: int, columns: Mapping[str, Any], texts: Sequence[str], errors: Mapping[int, str]) -> SpanLine:
    parent = columns["parent"][row]
    tool = texts[columns["tool"][row]]
    return SpanLine(
        span_id=columns["span_id"][row],
        parent_span_id=None if parent < 0 else columns["span_id"][parent],
        kind=texts[columns["kind"][row]],
        name=line(tool or texts[columns["name"][row]]),
        model=line(texts[columns["model"][row]]),
        start_seconds=columns["start"][row] / 10**6,
        seconds=columns["duration"][row] / 10**6,
        input_tokens=columns["input_tokens"][row],
        output_tokens=columns["output_tokens"][row],
        cost_usd=usd(columns["cost"][row]),
        error=line(errors[row]) if row in errors else None,
    )
