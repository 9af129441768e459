"""What has arrived since some time: for whoever has just set a program up, and waits for it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Final

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field
from typing_extensions import TypedDict

from collector.model.arrivals import ArrivedService, RefusedRequests
from collector.model.principal import Principal
from collector.telemetry import catalogue
from collector.web.answers import Instant as InstantText
from collector.web.inputs import Instant
from collector.web.operation import Call, Input, Result, Services, answer
from collector.web.times import rfc3339

_DEFAULT_NS: Final = 15 * 60 * 10**9


class ArrivalsQuery(Input):
    since: Instant | None = Field(None, description="What was received at or after this time; default: 15 minutes ago.")


class UnpricedJson(TypedDict):
    provider: str
    model: str
    status: Annotated[str, Field(description="Why: `unknown_model` or `no_usage`.")]


class ArrivedJson(TypedDict):
    """What one service sent."""

    name: str
    spans: Annotated[int, Field(description="Those it sent itself, without those made of its logs.")]
    log_records: int
    metric_points: int
    calls: int
    priced_calls: int
    with_content: Annotated[int, Field(description="Spans but of tools, and log records, with a prompt or an answer.")]
    input_tokens: int
    output_tokens: int
    cost: Annotated[str | None, Field(description="USD as a decimal string; null when no call has a price.")]
    run: Annotated[str, Field(description="Trace id of the latest run, of those with a priced call if there are any.")]
    unpriced: Annotated[Sequence[UnpricedJson], Field(description="Models without a price; twenty at most.")]


class RefusedJson(TypedDict):
    """Requests of whichever sender that were answered with an error."""

    signal: str
    transport: Annotated[str, Field(description="`grpc`, `http`, or `web` for OTLP that came to the web port.")]
    reason: str
    last: Annotated[float, Field(description="When the last one was, in Unix seconds.")]


class ArrivalsAnswer(TypedDict):
    since: InstantText
    now: InstantText
    services: Sequence[ArrivedJson]
    refused: Annotated[Sequence[RefusedJson], Field(description="By kind of error, with one at or after `since`.")]


async def arrivals(services: Services, call: Call[None, ArrivalsQuery, None]) -> Result:
    now = time.time_ns()
    since = now - _DEFAULT_NS if call.query.since is None else call.query.since
    found, refused = await arrived(services, call.principal, since)
    return answer(
        ArrivalsAnswer(
            since=rfc3339(since),
            now=rfc3339(now),
            services=[_json(one) for one in found],
            refused=[RefusedJson(**asdict(one)) for one in refused],  # type: ignore[typeddict-item]  # same fields
        )
    )


async def arrived(
    services: Services, principal: Principal, since: int
) -> tuple[Sequence[ArrivedService], list[RefusedRequests]]:
    """What was received, and refused, at or after `since`, Unix ns."""
    found = await asyncio.to_thread(services.query.arrivals, principal, since)
    refused = refused_requests((await services.metrics_text()).decode())
    return found, [one for one in refused if one.last * 1e9 >= since]


def refused_requests(metrics: str) -> list[RefusedRequests]:
    """Of the text of all processes' metrics, each kind once, with the latest of its times."""
    name = catalogue.RECEIVER_LAST_REFUSED_TIMESTAMP_SECONDS.exposed_name
    lines = "".join(line for line in metrics.splitlines(keepends=True) if line.startswith(name))
    last: dict[tuple[str, str, str], float] = {}
    for family in text_string_to_metric_families(lines):
        for sample in family.samples:
            key = sample.labels["signal"], sample.labels["transport"], sample.labels["reason"]
            last[key] = max(last.get(key, 0.0), sample.value)
    return [RefusedRequests(*key, last=at) for key, at in last.items()]


def _json(one: ArrivedService) -> ArrivedJson:
    cost = None if one.cost is None else f"{one.cost:f}"
    return ArrivedJson(**{**asdict(one), "cost": cost})  # type: ignore[typeddict-item]  # same fields
