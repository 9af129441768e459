"""Which spans are billed: every shape of double counting seen in captured runs, and that order never matters."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.enrich.billed.names import Models, model_number, provider_number
from collector.enrich.billed.rules import Report, billable_reports, foreign_answers, foreign_doubles

_ID = "msg_01XFDUDYJgAACzvnptvVoYEL"
_MS = 1_000_000


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
    first, second = report("a", (100, 106), response_id=_ID), report("b", (100, 105), response_id=_ID, detail=1)
    assert decide(parents, first, second) == {"b"}


def test_sibling_doubles_without_ids_need_different_scopes_and_enclosing_times() -> None:
    parents = {"root": "", "a": "root", "b": "root"}
    outer = report("a", (100, 7), scope="one", start=10 * _MS, end=90 * _MS)
    inner = report("b", (100, 7), scope="two", start=20 * _MS, end=80 * _MS)
    assert decide(parents, outer, inner) == {"a"}
    assert decide(parents, outer, replace(inner, scope="one")) == {"a", "b"}
    assert decide(parents, outer, replace(inner, end=95 * _MS)) == {"a", "b"}


def test_two_equal_calls_within_a_third_do_not_become_one() -> None:
    parents = {"root": "", "a": "root", "b": "root", "c": "root"}
    outer = report("a", (100, 7), scope="one", start=0, end=100)
    inner = [report(name, (100, 7), scope="two", start=10, end=20 + n) for n, name in enumerate("bc")]
    assert len(decide(parents, outer, *inner)) == 2


def test_a_clock_that_counts_milliseconds_lets_a_double_stick_out() -> None:
    parents = {"root": "", "a": "root", "b": "root"}
    outer = report("a", (1234, 56), scope="one", start=1000 * _MS, end=3000 * _MS)
    late = report("b", (1234, 56), scope="two", start=1001 * _MS, end=3000 * _MS + 600_000)
    early = replace(late, start=1000 * _MS - 600_000, end=2900 * _MS)
    for inner in (late, early):
        assert len(decide(parents, outer, inner)) == 1
    assert len(decide(parents, outer, replace(late, start=1010 * _MS, end=3003 * _MS))) == 2


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4o", "openai/gpt-4o", True),
        ("anthropic/claude-sonnet-4.5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929", True),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022", True),
        ("gemini-2.5-flash", "models/gemini-2.5-flash", True),
        ("prod-chat", "gpt-4o-2024-08-06", True),
        ("", "gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-08-06", False),
        ("gpt-4o", "claude-sonnet-4-5", False),
        ("prod-chat", "test-chat", False),
    ],
)
def test_two_models_are_two_calls_however_alike(first: str, second: str, one: bool) -> None:
    outer = report("a", (812, 1), scope="one", start=0, end=90 * _MS, models=Models(model_number(first)))
    inner = report("b", (812, 1), scope="two", start=_MS, end=80 * _MS, models=Models(model_number(second)))
    count = 1 if one else 2
    assert len(decide({"a": "root", "b": "root"}, outer, inner)) == count
    assert len(decide({"a": "", "b": "a"}, outer, inner)) == count
    same = [replace(each, response_id=_ID) for each in (outer, inner)]
    assert len(decide({"a": "root", "b": "root"}, *same)) == count
    lost = replace(inner, root=True)
    assert len(foreign_doubles({("t1", "a"): outer, ("t2", "b"): lost})) == (1 if one else 0)


def test_a_report_without_a_model_does_not_make_two_models_one_call() -> None:
    parents = {"a": "", "b": "a", "c": "b"}
    models = {"a": Models(model_number("gpt-4o")), "b": Models(), "c": Models(model_number("gpt-4o-mini"))}
    reports = [report(name, (812, 1), models=models[name]) for name in parents]
    assert len(decide(parents, *reports)) == 2


def test_an_alias_that_both_ask_for_is_one_model() -> None:
    asked = report("a", (812, 1), models=Models(model_number("gemini-flash-latest")))
    answered = report(
        "b", (812, 1), models=Models(model_number("gemini-flash-latest"), model_number("gemini-2.5-flash"))
    )
    assert decide({"a": "", "b": "a"}, asked, answered) == {"b"}


def test_two_providers_are_two_calls_unless_one_wraps_the_other() -> None:
    model = Models(model_number("gpt-4o"))
    outer = report("a", (812, 1), scope="one", start=0, end=90, models=model, provider=provider_number("openai"))
    inner = report("b", (812, 1), scope="two", start=10, end=80, models=model, provider=provider_number("azure"))
    assert len(decide({"a": "root", "b": "root"}, outer, inner)) == 2
    assert len(decide({"a": "", "b": "a"}, outer, inner)) == 1, "a gateway, and what it asks"
    unnamed = [replace(each, models=Models()) for each in (outer, inner)]
    assert len(decide({"a": "", "b": "a"}, *unnamed)) == 2
    assert provider_number("google") == provider_number("google-vertex")


def test_one_response_id_joins_only_what_agrees() -> None:
    parents = {"root": "", "a": "root", "b": "root"}
    first = report("a", (1000, 105), scope="one", start=0, end=90, response_id=_ID)
    apart = report("b", (1000, 106), scope="two", start=100, end=190, response_id=_ID)
    assert len(decide(parents, first, apart)) == 1, "a stream counted in two ways"
    assert len(decide(parents, first, replace(apart, output_tokens=0))) == 1, "one side has none"
    assert len(decide(parents, first, replace(apart, output_tokens=300))) == 2
    assert len(decide(parents, first, replace(apart, output_tokens=300, start=80))) == 1, "times overlap"


@pytest.mark.parametrize("response_id", ["1", "chatcmpl-mock", "chatcmpl-mock-response"])
def test_made_up_response_ids_prove_nothing(response_id: str) -> None:
    parents = {"root": "", "a": "root", "b": "root"}
    first = report("a", (1000, 105), scope="one", start=0, end=90, response_id=response_id)
    assert len(decide(parents, first, replace(first, span_id="b", scope="two", start=100, end=190))) == 2


def test_a_response_id_that_one_instrumentation_repeats_proves_nothing() -> None:
    parents = dict.fromkeys("abc", "root")
    calls = [
        report(name, (1000, 105), start=n * 100, end=n * 100 + 90, response_id=_ID) for n, name in enumerate("abc")
    ]
    assert decide(parents, *calls) == {"a", "b", "c"}
    assert not foreign_answers({(f"t{call.span_id}", call.span_id): call for call in calls})


def test_three_reports_of_one_call_are_one() -> None:
    times = {"a": (0, 90), "b": (10, 80), "c": (20, 70)}
    calls = [report(name, (812, 1), scope=name, start=start, end=end) for name, (start, end) in times.items()]
    assert len(decide(dict.fromkeys("abc", "root"), *calls)) == 1
    assert len(decide({"a": "", "b": "a", "c": "b"}, *calls)) == 1
    later = replace(calls[2], start=81, end=89)
    assert len(decide(dict.fromkeys("abc", "root"), *calls[:2], later)) == 2, "it began when the second had ended"


def test_an_embedding_that_sums_up_its_children_is_rolled_up() -> None:
    model = Models(model_number("text-embedding-3-large"))
    reports = [report(name, (count, 0), models=model) for name, count in (("all", 60), ("x", 28), ("y", 32))]
    assert decide({"all": "", "x": "all", "y": "all"}, *reports) == {"x", "y"}


def test_a_response_in_two_traces_is_one_call_by_its_id() -> None:
    first = report("a", (1000, 105), scope="one", start=0, end=90, response_id=_ID, root=True)
    second = report("b", (1000, 106), scope="two", start=5, end=95, response_id=_ID, root=True)
    assert foreign_answers({("t1", "a"): first, ("t2", "b"): second}) == [[("t1", "a"), ("t2", "b")]]
    other = replace(second, models=Models(model_number("gpt-4o")))
    mine = replace(first, models=Models(model_number("gpt-4o-mini")))
    assert not foreign_answers({("t1", "a"): mine, ("t2", "b"): other})


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
        st.sampled_from(["", "", "r1", "r2", "an-id-of-a-response-1", "an-id-of-a-response-2"]),
        st.sampled_from(["s1", "s2", "s3"]),
        st.tuples(st.integers(0, 5), st.integers(0, 5)),
        st.booleans(),
        st.sampled_from(["", "", "gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini"]),
    ),
    max_size=10,
)


@pytest.mark.parametrize("seed", range(3))
@given(spans=_SPANS)
def test_the_order_of_arrival_never_matters(seed: int, spans: list[Any]) -> None:
    entries = []
    for number, (kind, tokens, out, parent, response, scope, times, aggregate, model) in enumerate(spans):
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
            models=Models(model_number(model)),
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
