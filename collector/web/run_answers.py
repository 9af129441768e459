"""The shapes of answers about many runs, and how they are made of what the read path answers."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.model.money import usd_text
from collector.query.run_rows import Conversation, Kpis, KpiWindows, RunRow, Spread
from collector.web.answers import Instant, Next, UnixNano, Usd
from collector.web.times import rfc3339

Cost = Annotated[str | None, Field(description="USD as a decimal string; null when no call has a price.")]
Status = Literal["ok", "errors", "failed", "incomplete"]


class RunSummary(TypedDict):
    project: str
    trace_id: str
    status: Annotated[
        Status,
        Field(description="`failed` with its root; `errors` are inside; `incomplete`: its root has not arrived."),
    ]
    started_at: Instant
    started_at_unix_nano: UnixNano
    ended_at: Instant
    ended_at_unix_nano: UnixNano
    received_at: Annotated[
        str, Field(description="When its last span arrived.", json_schema_extra={"format": "date-time"})
    ]
    duration_nanoseconds: int
    spans: int
    errors: int
    llm_calls: int
    tool_calls: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost: Cost
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
    title: Annotated[
        str | None,
        Field(description="What it was asked, in a line; null where that is not known or `titles` not asked for."),
    ]


class RunsPage(TypedDict):
    runs: Sequence[RunSummary]
    next: Next


class FacetValue(TypedDict):
    value: str
    runs: int


class Facets(TypedDict):
    """Of each the values that runs have, in most runs first, a hundred at most."""

    service: Sequence[FacetValue]
    agent: Sequence[FacetValue]
    model: Sequence[FacetValue]
    feature: Sequence[FacetValue]
    status: Sequence[FacetValue]
    problem: Sequence[FacetValue]


class FacetsAnswer(TypedDict):
    facets: Facets


class DurationSpread(TypedDict):
    """Nanoseconds: the 5th, 50th and 95th of a hundred runs."""

    p5: int
    p50: int
    p95: int


class CostSpread(TypedDict):
    """USD: the 5th, 50th and 95th of a hundred runs."""

    p5: Usd
    p50: Usd
    p95: Usd


class KpisText(TypedDict):
    runs: int
    failed_runs: int
    runs_with_errors: int
    spans: int
    llm_calls: int
    tool_calls: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    cost: Cost
    unpriced_calls: int
    duration_nanoseconds: DurationSpread
    run_cost: CostSpread


class KpisOfWindow(TypedDict):
    since: Instant
    until: Instant
    kpis: KpisText


class KpisAnswer(TypedDict):
    window: KpisOfWindow
    other: Annotated[KpisOfWindow, Field(description="What the window is compared with.")]
    steps: Annotated[Sequence[KpisOfWindow], Field(description="The window in the steps asked for.")]
    folded_runs: Annotated[
        int, Field(description="Traces of the window with neither model call, tool nor agent, which are left out.")
    ]


class ConversationText(TypedDict):
    conversation_id: str
    runs: int
    started_at: Instant
    started_at_unix_nano: UnixNano
    last_run_started_at: Instant
    last_run_started_at_unix_nano: UnixNano
    ended_at: Instant
    ended_at_unix_nano: UnixNano
    runs_with_errors: int
    llm_calls: int
    input_tokens: int
    output_tokens: int
    cost: Cost
    unpriced_calls: int
    agents: Sequence[str]
    models: Sequence[str]
    user_id: str


class ConversationsPage(TypedDict):
    conversations: Sequence[ConversationText]
    next: Next


class OneConversation(TypedDict):
    conversation: ConversationText
    runs: Annotated[Sequence[RunSummary], Field(description="In the order they began.")]
    next: Next


def summary(run: RunRow, title: str | None = None) -> RunSummary:
    return RunSummary(
        project=run.project,
        trace_id=run.trace_id,
        status=run.status.value,
        started_at=rfc3339(run.start),
        started_at_unix_nano=str(run.start),
        ended_at=rfc3339(run.end),
        ended_at_unix_nano=str(run.end),
        received_at=rfc3339(run.last_received),
        duration_nanoseconds=run.duration,
        spans=run.spans,
        errors=run.errors,
        llm_calls=run.llm_calls,
        tool_calls=run.tool_calls,
        input_tokens=run.input_tokens,
        cache_read_tokens=run.cache_read_tokens,
        output_tokens=run.output_tokens,
        cost=_cost(run.cost),
        unpriced_calls=run.unpriced_calls,
        models=run.models,
        services=run.services,
        agents=run.agents,
        features=run.features,
        root_name=run.root_name,
        service_name=run.service_name,
        agent_name=run.agent_name,
        feature=run.feature,
        user_id=run.user_id,
        conversation_id=run.conversation_id,
        title=title,
    )


def kpis_json(found: KpiWindows, window: tuple[int, int], other: tuple[int, int]) -> KpisAnswer:
    starts = [start for start, _ in found.steps]
    ends = [*starts[1:], window[1]]
    steps = zip(found.steps, ends, strict=True) if starts else ()
    return KpisAnswer(
        window=_of_window(window, found.window),
        other=_of_window(other, found.other),
        steps=[_of_window((start, end), kpis) for (start, kpis), end in steps],
        folded_runs=found.folded,
    )


def conversation_json(found: Conversation) -> ConversationText:
    return ConversationText(
        conversation_id=found.conversation_id,
        runs=found.runs,
        started_at=rfc3339(found.start),
        started_at_unix_nano=str(found.start),
        last_run_started_at=rfc3339(found.last_start),
        last_run_started_at_unix_nano=str(found.last_start),
        ended_at=rfc3339(found.end),
        ended_at_unix_nano=str(found.end),
        runs_with_errors=found.runs_with_errors,
        llm_calls=found.llm_calls,
        input_tokens=found.input_tokens,
        output_tokens=found.output_tokens,
        cost=_cost(found.cost),
        unpriced_calls=found.unpriced_calls,
        agents=found.agents,
        models=found.models,
        user_id=found.user_id,
    )


def _of_window(window: tuple[int, int], kpis: Kpis) -> KpisOfWindow:
    return KpisOfWindow(since=rfc3339(window[0]), until=rfc3339(window[1]), kpis=_kpis(kpis))


def _kpis(found: Kpis) -> KpisText:
    return KpisText(
        runs=found.runs,
        failed_runs=found.failed_runs,
        runs_with_errors=found.runs_with_errors,
        spans=found.spans,
        llm_calls=found.llm_calls,
        tool_calls=found.tool_calls,
        input_tokens=found.input_tokens,
        cache_read_tokens=found.cache_read_tokens,
        output_tokens=found.output_tokens,
        cost=_cost(found.cost),
        unpriced_calls=found.unpriced_calls,
        duration_nanoseconds=DurationSpread(p5=found.duration.p5, p50=found.duration.p50, p95=found.duration.p95),
        run_cost=_costs(found.run_cost),
    )


def _costs(spread: Spread) -> CostSpread:
    return CostSpread(p5=usd_text(spread.p5), p50=usd_text(spread.p50), p95=usd_text(spread.p95))


def _cost(pico: int | None) -> str | None:
    return None if pico is None else usd_text(pico)
