"""Search, facets, figures and conversations of runs, each against the same question asked of all runs in Python."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.model.principal import ANONYMOUS, Principal
from collector.model.times import nanoseconds
from collector.query.listing import RunSort, RunsWanted
from collector.query.run_filter import Attribute, Problem, RunFilter, RunStatus
from collector.query.run_rows import RunRow
from collector.query.service import Dimension, Query
from collector.store import Store
from collector.store.run_sums import sum_all

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SINCE, UNTIL = nanoseconds(BEGIN - timedelta(days=1)), nanoseconds(BEGIN + timedelta(days=5))
ALL = RunsWanted(SINCE, UNTIL, limit=1000)
CENT = 10**10

# 120 runs of 6 spans, two an hour; every seventh goes on for hours. Of every third row there are two versions, the newer
# with another model, cost and status for some. One in ten runs is another project's, one in nine has no root.
FILL = """
INSERT INTO otel_traces (Project, Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, SpanAttributes,
    ResourceAttributes, Duration, StatusCode, Version, Kind, ResponseModel, Feature, AgentName, UserId, ConversationId,
    InputTokens, OutputTokens, CacheReadTokens, Cost, PriceStatus, Input, Output, ReceivedAt)
WITH intDiv(number, 6) AS run, number % 6 AS place, {version:UInt64} = 2 AND number % 5 = 0 AS changed,
    changed OR (place = 5 AND run % 13 = 5) AS unpriced
SELECT
    if(run % 10 = 9, 'other', 'default'),
    toDateTime64('2026-03-01 12:00:00', 9, 'UTC') + toIntervalMinute(30 * (run - (run % 3 = 1)))
        + toIntervalNanosecond(place * 1001) + toIntervalMinute(if(run % 7 = 0, 55 * place, 0)),
    lower(hex(sipHash128(run))),
    leftPad(lower(hex(number)), 16, '0'),
    if(place = 0 AND run % 9 != 4, '', leftPad(lower(hex(number - place)), 16, '0')),
    concat('span ', toString(place)), concat('service-', toString(place % 2 * (run % 3))),
    map('tenant', concat('t', toString(run % 8)), 'empty', ''), map('host', concat('h', toString(run % 4))),
    1000000 * (run % 13), if(number % 11 = 0 OR changed, 'Error', 'Ok'),
    {version:UInt64},
    if(place = 0, 'agent', if(place = 3, 'tool', 'llm')),
    if(place IN (4, 5), concat('model-', toString((run + changed) % 9)), ''),
    if(place = 4 AND NOT changed, concat('feature-', toString(run % 4)), ''),
    if(place IN (0, 2), concat('agent-', toString((run + place) % 5)), ''),
    if(place = 1, concat('user-', toString(run % 6)), ''),
    if(run % 4 = 0, '', concat('conversation-', toString(run % 11))),
    100 + run, 10, 50,
    if(place < 4 OR unpriced, NULL, toDecimal64('0.01', 12) * (1 + run % 3)),
    multiIf(place < 4, 'not_a_call', unpriced, 'unknown_model', 'priced'),
    if(place IN (0, 1), concat('Question ', toString(number), '\nsecond line'), ''),
    if(place = 5, concat('The ANSWER is ', toString(run)), ''),
    toDateTime64('2026-03-10 00:00:00', 9, 'UTC')
FROM numbers(720)
WHERE {version:UInt64} = 1 OR number % 3 = 0
"""


@pytest.fixture(params=["from spans", "kept", "some kept"])
def filled(store: Store, request: pytest.FixtureRequest) -> Store:
    """Runs whose sums are not kept, kept, or kept of their first versions."""
    store.command(FILL, {"version": 1})
    if request.param != "from spans":
        sum_all(store)
    store.command(FILL, {"version": 2})
    if request.param == "kept":
        sum_all(store)
    return store


@pytest.fixture
def query(filled: Store) -> Query:
    return Query(lambda: filled)


@pytest.fixture
def runs(query: Query) -> Sequence[RunRow]:
    found = query.search(ANONYMOUS, ALL)
    assert found.next is None
    assert len(found.runs) == 108
    return found.runs


FILTERS: list[tuple[dict[str, Any], Callable[[RunRow], bool]]] = [
    ({"service": "service-2"}, lambda run: "service-2" in run.services),
    ({"agent": "agent-3"}, lambda run: "agent-3" in run.agents),
    ({"model": "model-4"}, lambda run: "model-4" in run.models),
    ({"feature": "feature-1"}, lambda run: "feature-1" in run.features),
    ({"user": "user-2"}, lambda run: run.user_id == "user-2"),
    ({"conversation": "conversation-7"}, lambda run: run.conversation_id == "conversation-7"),
    ({"status": RunStatus.INCOMPLETE}, lambda run: run.status == "incomplete"),
    ({"status": RunStatus.FAILED}, lambda run: run.status == "failed"),
    ({"problem": Problem.ERRORS}, lambda run: run.errors > 0),
    ({"problem": Problem.UNPRICED}, lambda run: run.unpriced_calls > 0),
    ({"min_cost": 3 * CENT}, lambda run: (run.cost or 0) >= 3 * CENT),
    ({"max_cost": 2 * CENT}, lambda run: (run.cost or 0) <= 2 * CENT),
    ({"min_duration": 10_000_000}, lambda run: run.duration >= 10_000_000),
    ({"max_duration": 6_000_000}, lambda run: run.duration <= 6_000_000),
    ({"min_tokens": 900, "max_tokens": 1000}, lambda run: 900 <= run.input_tokens + run.output_tokens <= 1000),
    ({"model": "absent"}, lambda _: False),
]


@pytest.mark.parametrize(("asked", "matches"), FILTERS)
def test_filters(
    query: Query, runs: Sequence[RunRow], asked: dict[str, Any], matches: Callable[[RunRow], bool]
) -> None:
    found = query.search(ANONYMOUS, replace(ALL, **asked)).runs
    assert found == [run for run in runs if matches(run)]
    assert found or asked == {"model": "absent"}


def test_text_and_attributes_are_looked_for_in_every_span(query: Query, filled: Store) -> None:
    def ids(**asked: Any) -> set[str]:
        return {run.trace_id for run in query.search(ANONYMOUS, replace(ALL, **asked)).runs}

    def stored(condition: str) -> set[str]:
        statement = f"SELECT DISTINCT TraceId FROM otel_traces WHERE Project = 'default' AND {condition}"
        return set(filled.query(statement, {}).column("TraceId").to_pylist())

    assert ids(text="answer is 17") == stored("Output LIKE '%answer is 17%' OR Output LIKE '%ANSWER is 17%'")
    assert len(ids(text="question 7")) == 5
    assert ids(text="question 7", user="user-1") < ids(text="question 7")
    assert ids(text="nowhere") == ids(text="100%") == set()
    assert ids(attribute=Attribute("tenant", "t3")) == stored("SpanAttributes['tenant'] = 't3'")
    assert ids(attribute=Attribute("host", "h1")) == stored("ResourceAttributes['host'] = 'h1'")
    assert len(ids(attribute=Attribute("empty", ""))) == 108
    assert ids(attribute=Attribute("absent", "")) == set()


@pytest.mark.parametrize(
    ("by", "column"), [(Dimension.AGENT, "AgentName"), (Dimension.FEATURE, "Feature"), (Dimension.USER, "UserId")]
)
def test_what_a_call_does_not_name_its_run_names(query: Query, filled: Store, by: Dimension, column: str) -> None:
    since, until = SINCE + 30 * 3600 * 10**9, UNTIL - 60 * 3600 * 10**9  # within some runs
    period = f"toUnixTimestamp64Nano(call.Timestamp) >= {since} AND toUnixTimestamp64Nano(call.Timestamp) < {until}"
    statement = f"""
        SELECT if(call.{column} = '', run.{column}, call.{column}) AS Value, sum(call.Cost) AS Cost, count() AS Calls
        FROM (SELECT * FROM otel_traces FINAL) AS call LEFT JOIN runs AS run ON run.TraceId = call.TraceId
        WHERE call.Project = 'default' AND {period} AND call.PriceStatus IN ('priced', 'unknown_model')
        GROUP BY Value ORDER BY Cost DESC NULLS LAST, Value"""
    expected = [(row["Value"], row["Cost"], row["Calls"]) for row in filled.query(statement, {}).to_pylist()]
    assert len(expected) > 2
    for found in (
        query.spend(ANONYMOUS, by, since, until),
        query.spend_matrix(ANONYMOUS, by, since, until, "UTC", []),
    ):
        assert [
            (row["Value"], row["Cost"], row["PricedCalls"] + row["UnpricedCalls"]) for row in found.to_pylist()
        ] == expected


def _pages(query: Query, wanted: RunsWanted) -> Iterator[RunRow]:
    while True:
        page = query.search(ANONYMOUS, wanted)
        yield from page.runs
        if page.next is None:
            return
        wanted = replace(wanted, after=page.next)


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("sort", list(RunSort))
def test_order_and_pages(query: Query, runs: Sequence[RunRow], sort: RunSort, ascending: bool) -> None:
    values: dict[RunSort, Callable[[RunRow], int]] = {
        RunSort.START: lambda run: run.start,
        RunSort.COST: lambda run: -1 if run.cost is None else run.cost,
        RunSort.DURATION: lambda run: run.duration,
        RunSort.TOKENS: lambda run: run.input_tokens + run.output_tokens,
        RunSort.FAILED: lambda _: 0,  # none of them was judged
    }
    sign = 1 if ascending else -1
    ordered = sorted(runs, key=lambda run: (sign * values[sort](run), run.trace_id))
    wanted = replace(ALL, sort=sort, ascending=ascending, limit=36)
    assert list(_pages(query, wanted)) == ordered


@pytest.mark.parametrize("seed", range(3))
def test_any_period_holds_the_runs_that_began_in_it(query: Query, runs: Sequence[RunRow], seed: int) -> None:
    chance = random.Random(seed)
    since = nanoseconds(BEGIN + timedelta(minutes=chance.randrange(2000))) + chance.randrange(-1, 2)
    until = since + chance.randrange(2000) * 60 * 10**9
    found = query.search(ANONYMOUS, replace(ALL, since=since, until=until)).runs
    assert found == [run for run in runs if since <= run.start < until]


def test_other_projects_are_not_seen(query: Query) -> None:
    other = Principal(name="", project="other", scopes=ANONYMOUS.scopes)
    assert len(query.search(other, ALL).runs) == 12
    nobody = replace(other, project="nobody")
    assert not query.search(nobody, ALL).runs
    assert not any(query.facets(nobody, ALL).values())
    assert query.kpis(nobody, ALL).window.runs == 0
    assert not query.conversations(nobody, ALL).conversations
    assert not query.inputs(nobody, query.search(other, ALL).runs)


def test_facets_leave_their_own_filter_out(query: Query, runs: Sequence[RunRow]) -> None:
    def counts(values: Callable[[RunRow], Sequence[str]], matches: Callable[[RunRow], bool]) -> Counter[str]:
        return Counter(value for run in runs if matches(run) for value in values(run))

    asked = RunFilter(SINCE, UNTIL, agent="agent-3", status=RunStatus.OK, max_cost=4 * CENT)
    found = {name: {each.value: each.runs for each in facet} for name, facet in query.facets(ANONYMOUS, asked).items()}
    cheap = [run for run in runs if (run.cost or 0) <= 4 * CENT]
    runs = cheap

    def by_agent(run: RunRow) -> bool:
        return "agent-3" in run.agents

    def by_status(run: RunRow) -> bool:
        return run.status == "ok"

    def both(run: RunRow) -> bool:
        return by_agent(run) and by_status(run)

    def problems(run: RunRow) -> list[str]:
        return ["errors"] * (run.errors > 0) + ["unpriced"] * (run.unpriced_calls > 0)

    assert found == {
        "service": counts(lambda run: run.services, both),
        "agent": counts(lambda run: run.agents, by_status),
        "model": counts(lambda run: run.models, both),
        "feature": counts(lambda run: run.features, both),
        "status": counts(lambda run: [run.status], by_agent),
        "problem": counts(problems, both),
    }
    assert len(found["agent"]) > 3
    for facet in query.facets(ANONYMOUS, asked).values():
        assert list(facet) == sorted(facet, key=lambda each: (-each.runs, each.value))


def test_figures_of_a_window_beside_another_and_in_steps(query: Query, runs: Sequence[RunRow]) -> None:
    since, until = nanoseconds(BEGIN + timedelta(days=1)), nanoseconds(BEGIN + timedelta(days=2))
    asked = RunFilter(since, until, service="service-1")
    found = query.kpis(ANONYMOUS, asked, steps=24)

    def within(since: int, until: int) -> list[RunRow]:
        return [run for run in runs if since <= run.start < until and "service-1" in run.services]

    for figures, expected in (
        (found.window, within(since, until)),
        (found.other, within(2 * since - until, since)),
        *((step, within(start, start + 3600 * 10**9)) for start, step in found.steps),
    ):
        assert figures.runs == len(expected)
        assert figures.failed_runs == sum(run.status == "failed" for run in expected)
        assert figures.runs_with_errors == sum(run.errors > 0 for run in expected)
        for name in ("spans", "llm_calls", "tool_calls", "input_tokens", "cache_read_tokens", "output_tokens"):
            assert getattr(figures, name) == sum(getattr(run, name) for run in expected)
        costs = [run.cost for run in expected if run.cost is not None]
        assert figures.cost == (sum(costs) if costs else None)
        if expected:
            durations = sorted(run.duration for run in expected)
            assert figures.duration.p50 in durations
            assert durations[0] <= figures.duration.p5 <= figures.duration.p50 <= figures.duration.p95 <= durations[-1]
    assert found.window.runs > 10
    assert len(found.steps) == 24
    other = (since + 1, until + 1)  # windows may overlap
    assert query.kpis(ANONYMOUS, asked, other).other.runs == len(within(*other))


def test_conversations_are_runs_of_one_session(query: Query, runs: Sequence[RunRow]) -> None:
    found = query.conversations(ANONYMOUS, ALL).conversations
    of = {each.conversation_id: [run for run in runs if run.conversation_id == each.conversation_id] for each in found}
    assert set(of) == {run.conversation_id for run in runs if run.conversation_id}
    assert list(of) == sorted(of, key=lambda name: (-max(run.start for run in of[name]), name))
    for each in found:
        parts = of[each.conversation_id]
        assert (each.runs, each.start, each.last_start, each.end) == (
            len(parts),
            min(run.start for run in parts),
            max(run.start for run in parts),
            max(run.end for run in parts),
        )
        assert each.cost == sum(run.cost or 0 for run in parts)
        assert each.agents == sorted({agent for run in parts for agent in run.agents})
    first = query.conversations(ANONYMOUS, ALL, limit=4)
    rest = query.conversations(ANONYMOUS, ALL, after=first.next)
    assert [*first.conversations, *rest.conversations] == list(found)


def test_the_first_input_of_a_run_is_its_roots(query: Query, runs: Sequence[RunRow]) -> None:
    inputs = query.inputs(ANONYMOUS, runs)
    assert set(inputs) == {run.trace_id for run in runs}
    for run in runs:
        number = int(re.match(r"Question (\d+)\nsecond line$", inputs[run.trace_id])[1])  # type: ignore[index]
        assert number % 6 == 0
    assert query.inputs(ANONYMOUS, []) == {}
