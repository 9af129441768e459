"""Which spans are billed: every shape of double counting seen in captured runs, and that order never matters."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.enrich.billed.rules import Report, billable_reports, foreign_doubles


def report(
    span_id: str, tokens: tuple[int, int], kind: str = "llm", *, aggregate: bool = False, **more: object
) -> Report:
    return Report(span_id, kind == "llm" and not aggregate, *tokens, **more)  # type: ignore[arg-type]


def decide(parents: dict[str, str], *reports: Report) -> set[str]:
    return billable_reports({entry.span_id: entry for entry in reports}, parents)


def test_agent_with_the_sum_of_its_calls_is_rolled_up() -> None:
    parents = {"agent": "", "a": "agent", "b": "agent"}
    assert decide(parents, report("agent", (30, 3), "agent"), report("a", (10, 1)), report("b", (20, 2))) == {"a", "b"}


def test_agent_above_an_uninstrumented_step_is_rolled_up() -> None:
    parents = {"agent": "", "step": "agent", "call": "step"}
    assert decide(parents, report("agent", (10, 1), "agent"), report("call", (10, 1))) == {"call"}


def test_the_only_usage_of_a_run_is_billed_on_the_parent() -> None:
    assert decide({"agent": "", "step": "agent"}, report("agent", (2033, 203), "agent")) == {"agent"}


def test_a_declared_aggregate_is_rolled_up_only_above_calls() -> None:
    alone = report("sum", (30, 3), aggregate=True)
    assert decide({"sum": ""}, alone) == {"sum"}
    assert decide({"sum": "", "call": "sum"}, alone, report("call", (10, 1))) == {"call"}


def test_nested_double_keeps_the_report_that_tells_more() -> None:
    parents = {"outer": "", "inner": "outer"}
    outer, inner = report("outer", (100, 7), detail=2), report("inner", (100, 7), detail=3)
    assert decide(parents, outer, inner) == {"inner"}
    assert decide(parents, report("outer", (100, 7), detail=3), report("inner", (100, 7))) == {"outer"}


def test_sibling_doubles_with_one_response_id_are_one_call() -> None:
    parents = {"root": "", "a": "root", "b": "root"}
    first, second = report("a", (100, 106), response_id="msg_1"), report("b", (100, 105), response_id="msg_1", detail=1)
    assert decide(parents, first, second) == {"b"}


def test_sibling_doubles_without_ids_need_different_scopes_and_enclosing_times() -> None:
    parents = {"root": "", "a": "root", "b": "root"}
    outer = report("a", (100, 7), scope="one", start=10, end=90)
    inner = report("b", (100, 7), scope="two", start=20, end=80)
    assert decide(parents, outer, inner) == {"a"}
    assert decide(parents, outer, report("b", (100, 7), scope="one", start=20, end=80)) == {"a", "b"}
    assert decide(parents, outer, report("b", (100, 7), scope="two", start=20, end=95)) == {"a", "b"}


def test_two_equal_calls_within_a_third_do_not_become_one() -> None:
    parents = {"root": "", "a": "root", "b": "root", "c": "root"}
    outer = report("a", (100, 7), scope="one", start=0, end=100)
    inner = [report(name, (100, 7), scope="two", start=10, end=20 + n) for n, name in enumerate("bc")]
    assert len(decide(parents, outer, *inner)) == 2


def test_different_response_ids_are_different_calls() -> None:
    parents = {"outer": "", "inner": "outer"}
    assert decide(parents, report("outer", (9, 9), response_id="x"), report("inner", (9, 9), response_id="y")) == {
        "outer",
        "inner",
    }


def test_a_call_that_causes_another_is_billed_too() -> None:
    assert decide({"outer": "", "inner": "outer"}, report("outer", (100, 7)), report("inner", (40, 3))) == {
        "outer",
        "inner",
    }


def test_an_llm_span_that_sums_up_two_calls_is_rolled_up() -> None:
    parents = {"outer": "", "a": "outer", "b": "outer"}
    assert decide(parents, report("outer", (140, 10)), report("a", (100, 7)), report("b", (40, 3))) == {"a", "b"}


def test_a_double_in_a_trace_of_its_own_is_found_by_time_and_totals() -> None:
    outer = report("a", (1011, 101), scope="chain", start=0, end=100, detail=2)
    inner = report("b", (1011, 101), scope="sdk", start=10, end=90, detail=2, root=True)
    assert foreign_doubles({("t1", "a"): outer, ("t2", "b"): inner}) == {("t2", "b"): ("t1", "a")}
    child = report("b", (1011, 101), scope="sdk", start=10, end=90, detail=2)
    assert not foreign_doubles({("t1", "a"): outer, ("t2", "b"): child}), "a call with a parent is nobody's double"


def test_equal_reports_of_two_traces_each_have_a_double_of_their_own() -> None:
    outer = report("a", (10, 1), scope="chain", start=0, end=100, detail=2)
    inner = report("b", (10, 1), scope="sdk", start=10, end=90, root=True)
    calls = {("t1", "a"): outer, ("t2", "a"): outer, ("t3", "b"): inner, ("t4", "b"): inner}
    assert foreign_doubles({key: replace(call) for key, call in calls.items()}) == {
        ("t3", "b"): ("t2", "a"),
        ("t4", "b"): ("t1", "a"),
    }


def test_a_cycle_of_parents_is_survived() -> None:
    parents = {"a": "b", "b": "a"}
    assert decide(parents, report("a", (10, 1)), report("b", (20, 1))) == {"a", "b"}


_SPANS = st.lists(
    st.tuples(
        st.sampled_from(["llm", "llm", "agent", "tool"]),
        st.integers(0, 3),
        st.integers(0, 2),
        st.integers(0, 9),
        st.sampled_from(["", "", "r1", "r2"]),
        st.sampled_from(["s1", "s2"]),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        st.booleans(),
    ),
    max_size=10,
)


@pytest.mark.parametrize("seed", range(3))
@given(spans=_SPANS)
def test_the_order_of_arrival_never_matters(seed: int, spans: list[Any]) -> None:
    entries = []
    for number, (kind, tokens, out, parent, response, scope, times, aggregate) in enumerate(spans):
        begin, length = times
        made = report(
            str(number),
            (tokens, out),
            str(kind),
            response_id=response,
            scope=scope,
            start=begin,
            end=begin + length,
            aggregate=aggregate,
        )
        entries.append((made, "" if parent == number else str(parent)))
    expected = decide({made.span_id: parent for made, parent in entries}, *(made for made, _ in entries))
    random.Random(seed).shuffle(entries)
    assert decide({made.span_id: parent for made, parent in entries}, *(made for made, _ in entries)) == expected
    if any(made.is_call for made, _ in entries):
        assert expected, "usage was reported and nothing is billed"


def test_a_chain_as_deep_as_a_trace_is_long_is_judged() -> None:
    count = 20_000
    names = [f"{number:06}" for number in range(count)]
    reports = {name: report(name, (number + 1, 1)) for number, name in enumerate(names)}
    parents = dict(zip(names[1:], names, strict=False))
    assert billable_reports(reports, parents) == set(names)
