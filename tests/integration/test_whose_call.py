"""Spend, budgets, lists of runs and their documents agree on whose a call is, whatever names it and however it arrives.

A call is its own agent's, feature's and user's; where it names none, its run's: that of the earliest span that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.budgets.decisions import period_at
from collector.budgets.span_facts import NOTHING, Amount
from collector.model.money import PICODOLLARS_PER_USD
from collector.model.principal import ANONYMOUS
from collector.query.listing import RunsWanted
from collector.query.service import Dimension, Query
from collector.runs import read_spans, run_of
from collector.store import Store
from tests.support.calls import PRICES, Call
from tests.support.spending import NOW, RIGHT, Bench, rules_of

HOUR = 3_600 * 1_000_000_000
MICRO = 1_000_000  # picodollars
MARCH, APRIL = (int(datetime(2026, month, 1, tzinfo=UTC).timestamp()) * 10**9 for month in (3, 4))
BY = (Dimension.AGENT, Dimension.FEATURE, Dimension.USER, Dimension.MODEL, Dimension.SERVICE)
OF_RUNS = BY[:3]
BUDGETS: list[dict[str, Any]] = [
    {"name": by.value, "limit_usd": 1, "period": "month", "match": {"project": "default"}, "per": [by.value]}
    for by in BY
]

few = st.sampled_from
# Span 1 is the root, 2 and 3 are below it, 4 to 7 are the leaves; each may name anything, be a call, and come first.
# Its hour and its tokens are those of its number, so that a span delivered again is the same one and no call is taken
# for the double of another.
spans = st.builds(
    lambda trace, span, calls, **rest: Call(
        trace=trace,
        span=span,
        start_ns=NOW + (span * 5 % 7 - 4) * 11 * HOUR,
        tokens=1000 * trace + 10 * span + 7 if calls else 0,
        parent=span // 2,
        **rest,
    ),
    trace=st.integers(1, 3),
    span=st.integers(1, 7),
    calls=few([True, True, False]),
    model=few([*PRICES, "unknown-model"]),
    service=few(["shop", "bank"]),
    feature=few(["", "", "a", "b"]),
    user=few(["", "", "u1", "u2"]),
    agent=few(["", "", "planner", "writer"]),
    project=few(["default", "default", "other"]),
)
segments = st.lists(st.lists(spans, min_size=1, max_size=8), min_size=1, max_size=5)


@pytest.mark.timeout(360)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segments=segments, restarts=st.booleans())
def test_spend_budgets_and_runs_agree(store: Store, segments: list[list[Call]], restarts: bool) -> None:
    for table in ("otel_traces", "otel_traces_trace_id_ts"):
        store.command(f"TRUNCATE TABLE {table}")
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    rows: dict[tuple[str, int, int], Call] = {}
    for number, segment in enumerate([*segments, segments[0]]):
        if restarts and number == 1:
            bench.restart()
        bench.deliver(segment)
        for call in segment:  # a row without usage does not count instead of one with it
            key = call.project, call.trace, call.span
            if call.tokens or not (key in rows and rows[key].tokens):
                rows[key] = call
    stored = [row for row in rows.values() if row.project == "default"]
    query = Query(lambda: store)
    for by in BY:
        wanted = by_hand(by, stored)
        assert spend(query, by) == wanted, by
        assert counted(bench, by) == wanted, by
    costs = documents(query, stored)
    assert costs == listed(query)
    assert sum(costs.values()) == sum(amount.pico for amount in by_hand(Dimension.MODEL, stored).values())
    for feature in ("a", "b"):
        assert set(listed(query, feature)) == of_feature(feature, stored)


def by_hand(by: Dimension, rows: Sequence[Call]) -> dict[str, Amount]:
    sums: dict[str, Amount] = {}
    for row in rows:
        if row.tokens:
            pico = row.tokens * PRICES.get(row.model, 0) * MICRO
            amount = Amount(pico, row.tokens, 1, int(row.model not in PRICES))
            value = whose(by.value, row, rows)
            sums[value] = sums.get(value, NOTHING).plus(amount)
    return sums


def whose(name: str, call: Call, rows: Sequence[Call]) -> str:
    run = sorted((row.start_ns, row.span_id, str(getattr(row, name))) for row in rows if row.trace == call.trace)
    return str(getattr(call, name)) or next((value for _, _, value in run if value), "")


def of_feature(feature: str, rows: Sequence[Call]) -> set[str]:
    """The runs that name the feature before any other, and those with a call of it."""
    unnamed = {row.trace: Call(row.trace, 0, 0) for row in rows}
    named = {run.trace_id for run in unnamed.values() if whose("feature", run, rows) == feature}
    return named | {row.trace_id for row in rows if row.tokens and row.feature == feature}


def spend(query: Query, by: Dimension) -> dict[str, Amount]:
    return {
        row["Value"]: Amount(
            pico(row["Cost"]),
            row["InputTokens"] + row["OutputTokens"],
            row["PricedCalls"] + row["UnpricedCalls"],
            row["UnpricedCalls"],
        )
        for row in query.spend(ANONYMOUS, by, MARCH, APRIL).to_pylist()
    }


def pico(usd: Decimal | None) -> int:
    return int((usd or 0) * PICODOLLARS_PER_USD)


def counted(bench: Bench, by: Dimension) -> dict[str, Amount]:
    rule = bench.rules.by_name(by.value)
    sums = bench.kept(rule).get(period_at(rule, NOW).start, {})
    return {value: amount for (value,), amount in sums.items()}


def documents(query: Query, rows: Sequence[Call]) -> dict[str, int]:
    """What the document of each run says that it cost."""
    runs = {
        trace_id: run_of(read_spans(query.run_spans(ANONYMOUS, trace_id))) for trace_id in {r.trace_id for r in rows}
    }
    return {trace_id: pico(run.cost) for trace_id, run in runs.items()}


def listed(query: Query, feature: str = "") -> Mapping[str, int]:
    page = query.runs(ANONYMOUS, RunsWanted(MARCH, APRIL, feature=feature)).to_pylist()
    return {row["TraceId"]: pico(row["Cost"]) for row in page}


@pytest.mark.parametrize("by", OF_RUNS)
@pytest.mark.parametrize("namer", [1, 2, 4])
def test_what_one_span_of_a_run_names_counts_for_its_calls(store: Store, by: Dimension, namer: int) -> None:
    """The root, a step below it or another call."""
    bench = Bench(store, rules_of(*BUDGETS), RIGHT)
    run = [Call(1, n, NOW + n, tokens=100 * n if n > 3 else 0, parent=n // 2) for n in (1, 2, 4, 5)]
    run = [replace(call, **{by.value: "it" if call.span == namer else ""}) for call in run]  # type: ignore[arg-type]
    for call in reversed(run):
        bench.deliver([call])
    query = Query(lambda: store)
    assert spend(query, by) == counted(bench, by) == {"it": Amount(900 * MICRO, 900, 2, 0)}


def test_a_run_is_found_by_what_a_span_outside_of_the_period_names(store: Store) -> None:
    bench = Bench(store, rules_of(), RIGHT)
    early, noon = (int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) * 10**9 for day in (27, 29))
    bench.deliver([Call(1, 1, NOW - 60 * HOUR, feature="old"), Call(1, 2, NOW, 100, parent=1)])
    bench.deliver([Call(2, 1, NOW - 60 * HOUR, 100, feature="other")])
    query = Query(lambda: store)
    rows = query.spend(ANONYMOUS, Dimension.FEATURE, noon, APRIL).to_pylist()
    assert [(row["Value"], row["PricedCalls"]) for row in rows] == [("old", 1)]
    rows = query.spend(ANONYMOUS, Dimension.FEATURE, MARCH, early).to_pylist()
    assert [(row["Value"], row["PricedCalls"]) for row in rows] == [("other", 1)]
