"""The tool that finds runs."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from collector.web.mcp.marking import NOTICE, Recorded
from collector.web.mcp.shortening import Amount, NextCursor, Usd, limit_of, line, seconds, usd, whole
from collector.web.mcp.tool import Asker
from collector.web.operation import Input
from collector.web.run_answers import Status

_MAX_RUNS: Final = 50
_MAX_MODELS: Final = 5


class FindRuns(Input):
    since: str | None = Field(None, description="From this time on, ISO 8601; default: seven days ago.")
    until: str | None = Field(None, description="Before this time; default: now.")
    sort: str = Field(
        "start", description="Highest first.", json_schema_extra={"enum": ["start", "cost", "duration", "tokens"]}
    )
    service: str | None = None
    agent: str | None = None
    model: str | None = None
    feature: str | None = None
    user: str | None = None
    conversation: str | None = None
    status: str | None = Field(None, json_schema_extra={"enum": ["ok", "errors", "failed", "incomplete"]})
    min_cost_usd: Amount = Field(None, description="At least so much, for example 0.25.")
    text: str | None = Field(None, description="Only runs with this text in the input or output of a span.")
    attribute: str | None = Field(None, description="Only runs with this attribute: name=value.")
    limit: Annotated[int, whole(1, _MAX_RUNS), limit_of(_MAX_RUNS)] = 10
    cursor: str | None = Field(None, description="next_cursor of the page before.")


class RunLine(TypedDict):
    trace_id: str
    title: Annotated[str, Field(description="What it was asked, or its name; cut to a line.")]
    agent: str
    service: str
    status: Status
    started_at: str
    seconds: float
    cost_usd: Usd
    unpriced_calls: int
    llm_calls: int
    tool_calls: int
    errors: int
    spans: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    models: Annotated[Sequence[str], Field(description=f"{_MAX_MODELS} at most.")]


class RunsFound(Recorded):
    runs: Sequence[RunLine]
    next_cursor: NextCursor


async def find_runs(asker: Asker, wanted: FindRuns) -> RunsFound:
    query = {**wanted.model_dump(exclude={"min_cost_usd", "cursor"}), "titles": True}
    query |= {"min_cost": wanted.min_cost_usd, "after": wanted.cursor}
    found = await asker.ask("list_runs", query=query)
    return RunsFound(notice=NOTICE, runs=[_run(run) for run in found["runs"]], next_cursor=found["next"])


def _run(run: Mapping[str, Any]) -> RunLine:
    return RunLine(
        trace_id=run["trace_id"],
        title=line(run["title"] or run["root_name"]),
        agent=line(run["agent_name"]),
        service=line(run["service_name"]),
        status=run["status"],
        started_at=run["started_at"],
        seconds=seconds(run["duration_nanoseconds"]),
        cost_usd=usd(run["cost"]),
        unpriced_calls=run["unpriced_calls"],
        llm_calls=run["llm_calls"],
        tool_calls=run["tool_calls"],
        errors=run["errors"],
        spans=run["spans"],
        input_tokens=run["input_tokens"],
        cache_read_tokens=run["cache_read_tokens"],
        output_tokens=run["output_tokens"],
        models=[line(model) for model in run["models"][:_MAX_MODELS]],
    )
