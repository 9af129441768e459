"""Runs and what they add up to, as typed values. Times are Unix nanoseconds, money is picodollars."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa

from collector.model.money import picodollars_of_sum
from collector.query.run_filter import RunStatus


@dataclass(frozen=True, slots=True)
class RunKey:
    """A run's place in a list: what the list is ordered by (the start in Unix nanoseconds), then its trace id."""

    value: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run. `cost` is None when no call of it has a price; `models`, `agents`, ... are those of all its spans."""

    project: str
    trace_id: str
    start: int
    end: int
    duration: int
    status: RunStatus
    spans: int
    errors: int
    llm_calls: int
    tool_calls: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost: int | None
    unpriced_calls: int
    models: Sequence[str]
    services: Sequence[str]
    agents: Sequence[str]
    features: Sequence[str]
    root_name: str
    service_name: str
    agent_name: str
    feature: str
    user_id: str
    conversation_id: str
    last_received: int
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class RunPage:
    """A page of runs. `next` is the `after` of the page behind it, None when this is the last."""

    runs: Sequence[RunRow]
    next: RunKey | None


@dataclass(frozen=True, slots=True)
class FacetCount:
    value: str
    runs: int


@dataclass(frozen=True, slots=True)
class Spread:
    """The 5th, 50th and 95th of a hundred."""

    p5: int
    p50: int
    p95: int


@dataclass(frozen=True, slots=True)
class Kpis:
    """What some runs add up to. `cost` is None when no call of them has a price; `run_cost` has 0 for such runs."""

    runs: int = 0
    failed_runs: int = 0
    runs_with_errors: int = 0
    spans: int = 0
    llm_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    cost: int | None = None
    unpriced_calls: int = 0
    duration: Spread = Spread(0, 0, 0)
    run_cost: Spread = Spread(0, 0, 0)


@dataclass(frozen=True, slots=True)
class KpiWindows:
    """The figures of a window, of the one it is compared with, and of the window's steps, each with its start.

    `folded` is how many traces of the window are left out, as they have neither model call, tool nor agent.
    """

    window: Kpis
    other: Kpis
    steps: Sequence[tuple[int, Kpis]]
    folded: int = 0


@dataclass(frozen=True, slots=True)
class Conversation:
    """Runs of one session. `start` is that of its first run, `last_start` of its last, `end` the end of the latest."""

    conversation_id: str
    runs: int
    start: int
    last_start: int
    end: int
    runs_with_errors: int
    llm_calls: int
    input_tokens: int
    output_tokens: int
    cost: int | None
    unpriced_calls: int
    agents: Sequence[str]
    models: Sequence[str]
    user_id: str


@dataclass(frozen=True, slots=True)
class ConversationPage:
    conversations: Sequence[Conversation]
    next: RunKey | None


def run_rows(table: pa.Table) -> list[RunRow]:
    """The rows of a query that has the columns of `run_columns`."""
    return [_run(row) for row in _rows(table)]


def kpis_of(row: Mapping[str, Any]) -> Kpis:
    return Kpis(
        runs=row["Runs"],
        failed_runs=row["FailedRuns"],
        runs_with_errors=row["RunsWithErrors"],
        spans=row["Spans"],
        llm_calls=row["LlmCalls"],
        tool_calls=row["ToolCalls"],
        input_tokens=row["InputTokens"],
        cache_read_tokens=row["CacheReadTokens"],
        output_tokens=row["OutputTokens"],
        cost=pico_of(row["Cost"]),
        unpriced_calls=row["UnpricedCalls"],
        duration=Spread(*map(int, row["Durations"])),
        run_cost=Spread(*(pico_of(cost) or 0 for cost in row["Costs"])),
    )


def conversation_rows(table: pa.Table) -> list[Conversation]:
    return [
        Conversation(
            conversation_id=row["ConversationId"],
            runs=row["Runs"],
            start=row["FirstStart"],
            last_start=row["LastStart"],
            end=row["LastEnd"],
            runs_with_errors=row["RunsWithErrors"],
            llm_calls=row["LlmCalls"],
            input_tokens=row["InputTokens"],
            output_tokens=row["OutputTokens"],
            cost=pico_of(row["Cost"]),
            unpriced_calls=row["UnpricedCalls"],
            agents=row["Agents"],
            models=row["Models"],
            user_id=row["UserId"],
        )
        for row in _rows(table)
    ]


def pico_of(amount: Decimal | None) -> int | None:
    return None if amount is None else picodollars_of_sum(str(amount))


def _run(row: Mapping[str, Any]) -> RunRow:
    return RunRow(
        project=row["Project"],
        trace_id=row["TraceId"],
        start=row["Start"],
        end=row["End"],
        duration=row["Duration"],
        status=RunStatus(row["Status"]),
        spans=row["Spans"],
        errors=row["Errors"],
        llm_calls=row["LlmCalls"],
        tool_calls=row["ToolCalls"],
        input_tokens=row["InputTokens"],
        cache_read_tokens=row["CacheReadTokens"],
        output_tokens=row["OutputTokens"],
        cost=pico_of(row["Cost"]),
        unpriced_calls=row["UnpricedCalls"],
        models=row["Models"],
        services=row["Services"],
        agents=row["Agents"],
        features=row["Features"],
        root_name=row["RootName"],
        service_name=row["ServiceName"],
        agent_name=row["AgentName"],
        feature=row["Feature"],
        user_id=row["UserId"],
        conversation_id=row["ConversationId"],
        last_received=row["LastReceived"],
        purpose=row["Purpose"],
    )


def _rows(table: pa.Table) -> Iterator[Mapping[str, Any]]:
    """Rows by name, times as integers: Python's datetime would cut the nanoseconds."""
    columns = [
        (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
        for column in table.columns
    ]
    for values in zip(*columns, strict=True):
        yield dict(zip(table.column_names, values, strict=True))
