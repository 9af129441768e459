"""Which request an action answers, and which spans tell of one action."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from collector.runs import Span, rounds, toolbelt

ANSWERS = "gen_ai.output.messages"
RESULT = "gen_ai.tool.call.result"
Asked = tuple[str, str, Any]


def llm(span_id: str, start: int, end: int, *asked: Asked, parent: str = "", **more: Any) -> Span:
    """A call whose answer asks for tools: id, name, arguments."""
    parts = [{"type": "tool_call", "id": i, "name": name, "arguments": sent} for i, name, sent in asked]
    content = {"output_key": ANSWERS, "output": json.dumps([{"role": "assistant", "parts": parts}])} if asked else {}
    return Span(span_id, parent, kind="llm", operation="chat", start=start, end=end, price_status="priced",
                **{**content, **more})  # fmt: skip


def tool(
    span_id: str, start: int, name: str = "search", call_id: str = "", parent: str = "", end: int = 0, **more: Any
) -> Span:
    attributes = {"gen_ai.tool.call.id": call_id} if call_id else {}
    return Span(span_id, parent, kind="tool", start=start, end=end or start + 1, tool_name=name,
                attributes=attributes | more.pop("attributes", {}), **more)  # fmt: skip


def sent(arguments: Any) -> dict[str, Any]:
    return {"input_key": "gen_ai.tool.call.arguments", "input": json.dumps(arguments)}


def actions(spans: Iterable[Span]) -> list[list[tuple[str, Any]]]:
    """The actions of each round: id and arguments."""
    return [
        [(each.span.span_id, json.loads(each.arguments or "null")) for each in one.actions] for one in rounds(spans)
    ]


def ran(spans: Iterable[Span]) -> dict[str, int]:
    return {each.name: each.count for each in toolbelt(spans)}


def test_one_id_for_two_tools_is_told_apart_by_name() -> None:
    spans = [llm("m", 0, 10, ("f:1", "read", {"a": 1}), ("f:1", "list", {"b": 2})),
             tool("l", 12, "list", "f:1"), tool("r", 14, "read", "f:1")]  # fmt: skip
    assert actions(spans) == [[("l", {"b": 2}), ("r", {"a": 1})]]
    assert ran(spans) == {"read": 1, "list": 1}


def test_one_id_for_two_calls_of_one_tool_gives_each_its_own() -> None:
    asks = llm("m", 0, 10, ("f", "search", {"a": 1}), ("f", "search", {"a": 2}))
    assert actions([asks, tool("x", 12, call_id="f"), tool("y", 14, call_id="f")]) == [
        [("x", {"a": 1}), ("y", {"a": 2})]
    ]
    told = [tool("x", 12, call_id="f", **sent({"a": 2})), tool("y", 14, call_id="f")]
    assert actions([asks, *told]) == [[("x", {"a": 2}), ("y", {"a": 1})]]


def test_an_id_with_another_name_is_not_the_request() -> None:
    spans = [llm("m", 0, 10, ("c1", "read", {"a": 1})), tool("l", 12, "list", "c1"), tool("r", 13, "read", "c1")]
    assert actions(spans) == [[("l", None), ("r", {"a": 1})]]


def test_requests_without_ids_are_met_in_order() -> None:
    asks = llm("m", 0, 10, ("", "search", {"a": 1}), ("", "search", {"a": 2}), ("", "search", {"a": 3}))
    ran_later = [tool("x", 12), tool("y", 13), tool("z", 14)]
    assert actions([asks, *ran_later]) == [[("x", {"a": 1}), ("y", {"a": 2}), ("z", {"a": 3})]]


def test_an_action_with_an_id_comes_before_one_without() -> None:
    asks = llm("m", 0, 10, ("c1", "search", {"a": 1}), ("c2", "search", {"a": 2}))
    assert actions([asks, tool("x", 12), tool("y", 13, call_id="c1")]) == [[("x", {"a": 2}), ("y", {"a": 1})]]


def test_a_request_with_another_id_is_of_another_action() -> None:
    asks = llm("m", 0, 10, ("c1", "search", {"a": 1}), ("c2", "search", {"a": 2}))
    assert actions([asks, tool("x", 12, call_id="c9"), tool("y", 13, call_id="c2")]) == [[("x", None), ("y", {"a": 2})]]
    foreign = [tool("x", 12, call_id="run-1"), tool("y", 13, call_id="run-2")]
    assert actions([asks, *foreign]) == [[("x", {"a": 1}), ("y", {"a": 2})]]


@pytest.mark.parametrize(
    ("requested", "ran_as"),
    [("call_1", " call_1\n"), ("call_1", "fc_1"), ("toolu_1", "1"), ("call_1|fc_2", "call_1"), ("call_1|fc_2", "fc_2")],
)
def test_ids_as_other_layers_write_them(requested: str, ran_as: str) -> None:
    asks = llm("m", 0, 10, ("call_0", "search", {"a": 0}), (requested, "search", {"a": 1}))
    assert actions([asks, tool("x", 12, call_id=ran_as)]) == [[("x", {"a": 1})]]


def test_clocks_are_not_asked_where_ids_agree() -> None:
    spans = [llm("m", 100, 110, ("c1", "search", {"a": 1})), tool("x", 50, call_id="c1"), llm("n", 120, 130)]
    assert actions(spans) == [[("x", {"a": 1})], []]
    again = [tool("x", 0, call_id="call_1"), tool("y", 20, call_id="call_1"),
             llm("m", 10, 15, ("call_1", "search", {"a": 1})), llm("n", 30, 35, ("call_1", "search", {"a": 2}))]  # fmt: skip
    assert actions(again) == [[("x", {"a": 1})], [("y", {"a": 2})]]


def test_ids_that_every_round_uses_again() -> None:
    spans = [span for at in range(0, 1000, 10) for span in (
        llm(f"m{at}", at, at + 3, ("call_1", "search", {"at": at})), tool(f"t{at}", at + 5, call_id="call_1"))]  # fmt: skip
    assert actions(spans) == [[(f"t{at}", {"at": at})] for at in range(0, 1000, 10)]


def test_attempts_are_actions_with_one_request() -> None:
    asks = [llm("m", 0, 10, ("c1", "search", {"a": 1})), llm("n", 30, 40, ("c1", "search", {"a": 2}))]
    tried = [tool("x", 11, call_id="c1", error=True), tool("y", 13, call_id="c1"), tool("z", 41, call_id="c1")]
    assert actions([*asks, *tried]) == [[("x", {"a": 1}), ("y", {"a": 1})], [("z", {"a": 2})]]
    assert ran([*asks, *tried]) == {"search": 3}
    bare = [llm("m", 0, 10, ("", "search", {"a": 1})), tool("x", 11, error=True), tool("y", 13)]
    assert actions(bare) == [[("x", {"a": 1}), ("y", {"a": 1})]]
    by_hand = [llm("m", 0, 10, ("", "search", {"a": 1})), tool("x", 11), tool("y", 13)]
    assert actions(by_hand) == [[("x", {"a": 1}), ("y", None)]]


def test_arguments_find_the_request_of_an_earlier_call() -> None:
    spans = [llm("m", 0, 10, ("", "search", {"a": 1})), llm("n", 5, 15, ("", "search", {"a": 2})),
             tool("x", 16, **sent({"a": 1})), tool("y", 17)]  # fmt: skip
    assert actions(spans) == [[("x", {"a": 1})], [("y", {"a": 2})]]


def test_layers_of_one_run_of_a_tool_are_one_action() -> None:
    asks = llm("m", 0, 10, ("c1", "search", {"a": 1}))
    spans = [
        asks,
        tool("framework", 20, call_id="c1", end=60, scope="framework"),
        tool("instrumentation", 21, parent="framework", end=59, scope="other"),
        Span("http", "instrumentation", start=22, end=58),
        tool("client", 23, "docs.search", parent="http", end=57),
        tool("server", 9, parent="client", end=16, output_key=RESULT, output='"found"'),
    ]
    (found,) = rounds(spans)
    assert [span.span_id for span in found.actions[0].spans] == ["framework", "instrumentation", "client", "server"]
    assert (actions(spans), found.actions[0].result) == ([[("framework", {"a": 1})]], "found")
    assert ran(spans) == {"search": 1}


def test_layers_with_one_id_have_any_names_and_other_ids_are_other_runs() -> None:
    asks = llm("m", 0, 10, ("c1", "search", {"a": 1}))
    agent = Span("sub", "outer", kind="agent", agent_name="Finder", start=21, end=30, attributes={"tool_call_id": "c1"})
    inner = tool("inner", 21, "lookup", "c1", parent="outer")
    for layer in (agent, inner):
        (found,) = rounds([asks, tool("outer", 20, call_id="c1", end=40), layer])
        assert [span.span_id for action in found.actions for span in action.spans] == ["outer", layer.span_id]
    recursive = tool("again", 21, call_id="c2", parent="outer")
    assert ran([asks, tool("outer", 20, call_id="c1", end=40), recursive]) == {"search": 2}


def test_a_tool_that_a_model_asks_for_inside_a_tool_is_a_run_of_its_own() -> None:
    spans = [
        llm("m", 0, 10, ("call_1", "search", {"a": 1})),
        tool("outer", 20, call_id="call_1", end=60),
        llm("inner", 21, 30, ("call_1", "search", {"a": 2}), parent="outer"),
        tool("deep", 31, call_id="call_1", parent="outer"),
    ]
    assert actions(spans) == [[("outer", {"a": 1})], [("deep", {"a": 2})]]
    assert ran(spans) == {"search": 2}


def test_layers_of_a_part_count_once() -> None:
    spans = [llm("m", 0, 10, ("c1", "ask", {})), tool("ask", 20, "ask", "c1", end=60),
             tool("part", 21, "fetch", parent="ask", end=50), tool("client", 22, "fetch", parent="part")]  # fmt: skip
    assert actions(spans) == [[("ask", {})]]
    assert ran(spans) == {"ask": 1, "fetch": 1}


def test_two_instrumentations_beside_each_other_are_one_action() -> None:
    ms = 1_000_000
    asks = llm("m", 0, 10, ("c1", "search", {"a": 1}), ("c2", "search", {"a": 2}))
    one = [
        tool("a", 20 * ms, call_id="c1", end=40 * ms, scope="one"),
        tool("b", 20 * ms, call_id="c2", end=39 * ms, scope="one"),
    ]
    two = [
        tool("x", 19 * ms, call_id="c1", end=39 * ms, scope="two"),
        tool("y", 21 * ms, call_id="c2", end=38 * ms, scope="two"),
    ]
    assert actions([asks, *one, *two]) == [[("x", {"a": 1}), ("b", {"a": 2})]]
    bare = [
        tool("a", 20 * ms, end=40 * ms, scope="one", **sent({"a": 1})),
        tool("x", 21 * ms, end=39 * ms, scope="two", **sent({"a": 1})),
    ]
    assert ran([llm("m", 0, 10, ("", "search", {"a": 1})), *bare]) == {"search": 1}
    untold = [tool("a", 20 * ms, end=40 * ms, scope="one"), tool("x", 21 * ms, end=39 * ms, scope="two")]
    assert ran([llm("m", 0, 10, ("", "search", {"a": 1}), ("", "search", {})), *untold]) == {"search": 2}


@pytest.mark.parametrize(
    "more",
    [
        {"error": True},
        {"attributes": {"error.type": "timeout"}},
        {"attributes": {"gen_ai.tool.status": "error"}},
        {"output_key": RESULT, "output": '{"content": [{"type": "text", "text": "No."}], "isError": true}'},
        {"output_key": RESULT, "output": '{"type": "tool_result", "tool_use_id": "c1", "is_error": true}'},
        {
            "output_key": "output.value",
            "output": '{"output": {"content": "No", "tool_call_id": "1", "status": "error"}}',
        },
    ],
)
def test_a_failed_tool_shows_as_failed(more: dict[str, Any]) -> None:
    asks = llm("m", 0, 10, ("c1", "search", {}))
    assert rounds([asks, tool("x", 12, call_id="c1", **more)])[0].actions[0].error
    inner = tool("client", 13, parent="x", **more)
    assert rounds([asks, tool("x", 12, call_id="c1", end=20), inner])[0].actions[0].error
    good = tool("retried", 15, parent="x")
    assert not rounds([asks, tool("x", 12, call_id="c1", end=20), inner, good])[0].actions[0].error


@pytest.mark.parametrize(
    "more",
    [
        # Claude Code; the function behind a tool, traced by its author or by the server.
        {"name": "claude_code.tool.execution", "attributes": {"gen_ai.tool.call.id": "c1"}},
        {"name": "search"},
        {"name": "docs.search"},
    ],
)
def test_a_tool_failed_when_only_its_execution_says_so(more: dict[str, Any]) -> None:
    asks = llm("m", 0, 10, ("c1", "search", {}))
    ran_tool = tool("x", 12, call_id="c1", end=30)
    wrapper = Span("waiting", "x", name="wrapper", start=12, end=29)
    execution = Span("run", "waiting", start=13, end=20, error=True, **more)
    (failed,) = rounds([asks, ran_tool, wrapper, execution])[0].actions
    assert (failed.error, [span.span_id for span in failed.spans]) == (True, ["x", "run"])
    good = execution._replace(span_id="again", start=21, end=28, error=False)
    assert not rounds([asks, ran_tool, wrapper, execution, good])[0].actions[0].error
    part = execution._replace(span_id="part", parent_id="run", start=14, end=15, error=False)
    assert rounds([asks, ran_tool, wrapper, execution, part])[0].actions[0].error


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ({"gen_ai.tool.call.id": "toolu_004_0"}, {}),
        ({}, {"gen_ai.tool.call.id": "toolu_004_0", "tool_use_id": "toolu_004_0"}),
        ({"gen_ai.tool.call.id": "toolu_004_0"}, {"tool_use_id": "toolu_004_0"}),
        ({"tool_use_id": "toolu_004_0"}, {"tool_use_id": "other"}),
        ({}, {}),
    ],
)
@pytest.mark.parametrize("stated", [{"span.type": "tool.execution"}, {}])
def test_an_execution_needs_no_id_to_be_of_the_tool_above_it(
    outer: dict[str, str], inner: dict[str, str], stated: dict[str, str]
) -> None:
    more = {"duration_ms": "3", "success": "false", "error": "Shell command failed"}
    ran_tool = tool("x", 12, "Bash", end=30, attributes={"span.type": "tool", **outer})
    waiting = Span("w", "x", name="claude_code.tool.blocked_on_user", start=12, end=13,
                   attributes={"span.type": "tool.blocked_on_user"})  # fmt: skip
    execution = Span("run", "x", name="claude_code.tool.execution", start=13, end=20, error=True,
                     attributes={**stated, **inner, **more})  # fmt: skip
    asks = llm("m", 0, 10, ("", "Bash", {}))
    (action,) = rounds([asks, ran_tool, waiting, execution])[0].actions
    assert (action.error, action.name, [span.span_id for span in action.spans]) == (True, "Bash", ["x", "run"])
    inside = tool("read", 14, "Read", parent="run", attributes={"span.type": "tool"})
    good = execution._replace(error=False, end=40)
    own = execution._replace(span_id="own", parent_id="read", start=15, end=16)
    found = rounds([asks, ran_tool._replace(end=45), waiting, good, inside._replace(end=17), own])[0].actions
    assert [(each.name, each.error) for each in found] == [("Bash", False)]  # not what failed in a tool inside of it


@pytest.mark.parametrize(
    "inner",
    [
        Span("run", "x", name="execute", start=13, end=20, error=True, attributes={"gen_ai.tool.call.id": "c2"}),
        Span("run", "x", name="GET", start=13, end=20, error=True),
        Span("run", "x", name="search", kind="agent", start=13, end=20, error=True),
        llm("run", 13, 20, parent="x", name="search", error=True),
    ],
)
def test_what_fails_inside_a_tool_and_is_not_its_execution_leaves_it_as_it_is(inner: Span) -> None:
    asks = llm("m", 0, 10, ("c1", "search", {}))
    assert not rounds([asks, tool("x", 12, call_id="c1", end=30), inner])[0].actions[0].error


def test_results_that_speak_of_errors_are_no_failures() -> None:
    for output in ('{"isError": false}', '{"status": "error"}', "isError: true", '["isError"]', '{"a": "is_error"}'):
        assert not rounds([tool("x", 1, output_key=RESULT, output=output)])[0].actions[0].error
    failed_step = Span("http", "x", start=1, end=2, error=True)
    assert not rounds([tool("x", 1), failed_step])[0].actions[0].error


def test_a_tool_belongs_to_the_call_that_still_streams() -> None:
    before = llm("m", 0, 10, finish_reason="tool_calls")
    for more in ({}, {"output_key": ANSWERS, "output": '[{"role": "assistant", "parts": [{"type": "tool_call", "na'}):
        assert actions([before, llm("n", 20, 60, **more), tool("x", 30)]) == [[], [("x", None)]]
    assert actions([before, llm("n", 20, 60, finish_reason="stop"), tool("x", 30)]) == [[("x", None)], []]
    beside = llm("n", 5, 60)
    assert actions([before, beside, tool("x", 30)]) == [[("x", None)], []]
    other = llm("n", 20, 60, ("c", "fetch", {}))
    assert actions([before, other, tool("x", 30)]) == [[("x", None)], []]
    asked = [llm("m", 0, 10, ("", "search", {"a": 1})), tool("x", 11), llm("n", 20, 60, ("", "search", {"a": 2}))]
    assert actions([*asked, tool("y", 30)]) == [[("x", {"a": 1})], [("y", {"a": 2})]]


def test_names_with_and_without_a_namespace_are_of_one_tool() -> None:
    for requested, ran_as in (
        ("mcp__docs__search", "search"),
        ("search", "functions.search"),
        ("docs/search", "search"),
    ):
        spans = [llm("m", 0, 10, ("", requested, {"a": 1}), ("", "fetch", {})), tool("x", 12, ran_as)]
        assert actions(spans) == [[("x", {"a": 1})]]
        assert ran(spans) == {requested: 1, "fetch": 1}
    assert actions([llm("m", 0, 10, ("", "a.search", {"a": 1})), tool("x", 12, "b.search")]) == [[("x", None)]]


def test_parallel_calls_that_end_in_the_other_order() -> None:
    asks = llm("m", 0, 10, ("c1", "search", {"a": 1}), ("c2", "search", {"a": 2}))
    assert actions([asks, tool("y", 11, call_id="c2", end=12), tool("x", 11, call_id="c1", end=40)]) == [
        [("x", {"a": 1}), ("y", {"a": 2})]
    ]


def test_a_sub_agent_that_uses_the_ids_of_its_caller_again() -> None:
    spans = [
        llm("m", 0, 10, ("call_1", "ask_expert", {"q": 1})),
        tool("ask", 11, "ask_expert", "call_1", end=90),
        Span("expert", "ask", kind="agent", agent_name="Expert", start=12, end=80),
        llm("n", 13, 20, ("call_1", "search", {"a": 2}), parent="expert"),
        tool("deep", 21, call_id="call_1", parent="expert"),
        llm("o", 30, 40, ("call_1", "search", {"a": 3}), parent="expert"),
        tool("deeper", 41, call_id="call_1", parent="expert"),
    ]
    assert actions(spans) == [[("ask", {"q": 1})], [("deep", {"a": 2})], [("deeper", {"a": 3})]]
