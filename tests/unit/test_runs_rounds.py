"""What belongs to which model call."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.runs import Round, Span, read_spans, rounds, system_prompt, toolbelt
from tests.support.runs import stored

ANSWERS = "gen_ai.output.messages"


def asks(*calls: str, **more: Any) -> dict[str, Any]:
    """The columns of an answer that asks for tools: `id:name` or `id:name:city`."""
    parts = []
    for call in calls:
        identity, name, city = (*call.split(":"), "")[:3]
        parts.append({"type": "tool_call", "id": identity, "name": name, "arguments": {"city": city}})
    return {"output_key": ANSWERS, "output": json.dumps([{"role": "assistant", "parts": parts}]), **more}


def says(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "parts": [{"type": "text", "content": text}]}
    return {"output_key": ANSWERS, "output": json.dumps([message])}


def llm(span_id: str, parent: str, start: int, end: int, status: str = "priced", **more: Any) -> Span:
    return Span(span_id, parent, kind="llm", operation="chat", start=start, end=end, price_status=status, **more)


def tool(span_id: str, parent: str, start: int, name: str = "search", **more: Any) -> Span:
    return Span(span_id, parent, kind="tool", start=start, end=start + 1, tool_name=name, **more)


def agent(span_id: str, parent: str, start: int, end: int, name: str = "") -> Span:
    return Span(span_id, parent, kind="agent", start=start, end=end, agent_name=name)


def told(spans: Iterable[Span]) -> list[tuple[int, str, list[str]]]:
    """Number, call and actions of each round, as ids."""
    return [
        (each.number, each.call.span.span_id if each.call else "", [action.span.span_id for action in each.actions])
        for each in rounds(spans)
    ]


def test_actions_follow_the_call_that_ended_before_them() -> None:
    spans = [
        agent("agent", "", 0, 99),
        tool("early", "agent", 1),
        llm("one", "agent", 3, 10),
        tool("a", "agent", 10),
        tool("b", "agent", 12),
        llm("two", "agent", 20, 30),
        tool("c", "agent", 31),
    ]
    assert told(spans) == [(0, "", ["early"]), (1, "one", ["a", "b"]), (2, "two", ["c"])]
    assert told(reversed(spans)) == told(spans)


def test_an_action_belongs_to_the_answer_with_its_id() -> None:
    spans = [
        llm("one", "", 0, 10, **asks("c1:search")),
        llm("two", "", 11, 20, **asks("c2:search")),
        tool("late", "", 30, attributes={"gen_ai.tool.call.id": "c1"}),
        tool("next", "", 31, attributes={"ai.toolCall.id": "c2"}),
    ]
    assert told(spans) == [(1, "one", ["late"]), (2, "two", ["next"])]


def test_an_id_said_again_is_of_the_latest_answer_before() -> None:
    spans = [
        llm("one", "", 0, 10, **asks("call_0:search")),
        tool("first", "", 11, attributes={"gen_ai.tool.call.id": "call_0"}),
        llm("two", "", 20, 30, **asks("call_0:search")),
        tool("second", "", 31, attributes={"gen_ai.tool.call.id": "call_0"}),
    ]
    assert told(spans) == [(1, "one", ["first"]), (2, "two", ["second"])]


def test_a_tool_may_start_while_the_answer_still_streams() -> None:
    spans = [llm("one", "", 0, 10, **says("Hm.")), llm("two", "", 11, 40, **asks("c:search")), tool("a", "", 30)]
    assert told(spans) == [(1, "one", []), (2, "two", ["a"])]


def test_a_running_call_that_names_other_tools_caused_nothing() -> None:
    spans = [llm("one", "", 0, 40, **asks("c:other")), tool("a", "", 30)]
    assert told(spans) == [(0, "", ["a"]), (1, "one", [])]


def test_a_running_call_whose_answer_is_not_known_is_believed() -> None:
    assert told([llm("one", "", 0, 40), tool("a", "", 30)]) == [(1, "one", ["a"])]
    cut = llm("one", "", 0, 40, output_key=ANSWERS, output='[{"parts": [{"na', finish_reason="tool_calls")
    assert told([cut, tool("a", "", 30)]) == [(1, "one", ["a"])]


def test_parallel_calls_are_told_apart_by_name_and_arguments() -> None:
    """Two branches of a graph at once, and two runs of one tool in the other order than asked for."""
    spans = [
        llm("left", "", 0, 10, **asks("1:search:Rome", "2:search:Bern")),
        llm("right", "", 1, 11, **asks("3:fetch")),
        tool("bern", "", 20, input_key="x", input='{"city":"Bern"}'),
        tool("rome", "", 21, input_key="x", input='{"city": "Rome"}'),
        tool("f", "", 22, "fetch"),
    ]
    first, second = rounds(spans)
    assert [(action.span.span_id, action.asked and action.asked.id) for action in first.actions] == [
        ("bern", "2"),
        ("rome", "1"),
    ]
    assert [action.span.span_id for action in second.actions] == ["f"]


def test_a_request_is_taken_once() -> None:
    spans = [
        llm("one", "", 0, 10, **asks("1:search")),
        tool("a", "", 11),
        llm("two", "", 20, 30, **says("Done.")),
        tool("by hand", "", 31),
    ]
    assert told(spans) == [(1, "one", ["a"]), (2, "two", ["by hand"])]


def test_sub_agents_are_actions_and_have_rounds_of_their_own() -> None:
    spans = [
        agent("boss", "", 0, 99, "boss"),
        llm("plan", "boss", 1, 10, **asks("1:transfer_to_weather_agent")),
        agent("sub", "boss", 11, 60, "Weather Agent"),
        llm("think", "sub", 12, 20),
        tool("look", "sub", 21),
        llm("answer", "boss", 61, 70),
    ]
    assert told(spans) == [(1, "plan", ["sub"]), (2, "think", ["look"]), (3, "answer", [])]
    assert [each.owner for each in rounds(spans)] == ["boss", "sub", "boss"]
    asked = rounds(spans)[0].actions[0].asked
    assert asked
    assert asked.name == "transfer_to_weather_agent"


def test_agents_that_the_program_starts_are_no_actions() -> None:
    spans = [agent("flow", "", 0, 99), agent("a", "flow", 1, 40), llm("x", "a", 2, 9), agent("b", "flow", 41, 90)]
    assert told(spans) == [(1, "x", [])]


def test_an_agent_run_as_a_tool_is_one_action() -> None:
    spans = [
        agent("boss", "", 0, 99),
        llm("plan", "boss", 1, 10, **asks("1:ask_expert")),
        tool("ask", "boss", 11, "ask_expert"),
        agent("expert", "ask", 12, 20),
        llm("think", "expert", 13, 19),
        tool("inner", "ask", 14, "mcp"),
    ]
    assert told(spans) == [(1, "plan", ["ask"]), (2, "think", [])]


def test_a_tool_that_asks_a_model_has_rounds() -> None:
    spans = [llm("plan", "", 0, 10), tool("t", "", 11), llm("inner", "t", 11, 12), tool("deep", "t", 12)]
    assert told(spans) == [(1, "plan", ["t"]), (2, "inner", ["deep"])]


def test_a_tool_inside_the_call_is_its_action() -> None:
    spans = [llm("auto", "", 0, 50), Span("step", "auto", start=5, end=20), tool("t", "step", 10)]
    assert told(spans) == [(1, "auto", ["t"])]


def test_embeddings_are_actions() -> None:
    embedding = Span(
        "e", "", kind="llm", operation="embeddings", start=0, end=1, price_status="priced", cost=Decimal(1)
    )
    later = Span("l", "", kind="llm", operation="rerank", start=20, end=21)
    double = Span("d", "", kind="llm", operation="embeddings", start=0, end=1, price_status="rolled_up")
    assert told([embedding, double, llm("one", "", 5, 10), later]) == [(0, "", ["e"]), (1, "one", ["l"])]


def test_nested_reports_are_one_round() -> None:
    spans = [
        llm("library", "", 0, 20, "rolled_up", request_model="asked", **says("Hello.")),
        Span("http", "library", start=1, end=19),
        llm("client", "http", 2, 18, "priced", cost=Decimal("0.5"), response_model="answered", finish_reason="end"),
        tool("t", "", 19),
    ]
    (found,) = rounds(spans)
    assert found.call
    assert [report.span_id for report in found.call.reports] == ["client", "library"]
    assert (found.requested_model, found.answered_model, found.finish_reason) == ("asked", "answered", "end")
    assert (found.cost, found.messages.output[0].text) == (Decimal("0.5"), "Hello.")
    assert [action.span.span_id for action in found.actions] == ["t"]


def test_reports_without_usage_are_one_round_too() -> None:
    assert len(rounds([llm("outer", "", 0, 9, "no_usage"), llm("inner", "outer", 1, 8, "no_usage", error=True)])) == 1


def test_sibling_reports_with_one_response_id_are_one_round() -> None:
    spans = [
        llm("a", "", 0, 9, "rolled_up", response_id="msg_1", scope="one"),
        llm("b", "", 0, 9, "priced", response_id="msg_1", scope="two"),
        llm("c", "", 10, 19, "priced", response_id="msg_2", scope="two"),
    ]
    assert [len(each.call.reports) for each in rounds(spans) if each.call] == [2, 1]


def test_sibling_reports_without_ids_need_tokens_time_and_another_scope() -> None:
    billed = llm("b", "", 1, 8, "priced", input_tokens=5, output_tokens=1, scope="two")
    double = llm("a", "", 0, 9, "rolled_up", input_tokens=5, output_tokens=1, scope="one")
    assert told([billed, double]) == [(1, "b", [])]
    (found,) = rounds([billed, double])
    assert found.call
    assert len(found.call.reports) == 2


def test_a_span_around_several_calls_is_no_round() -> None:
    spans = [
        llm("all", "", 0, 99, "rolled_up"),
        llm("a", "all", 1, 9),
        llm("b", "all", 10, 19),
        llm("c", "all", 20, 29, "no_usage"),
    ]
    assert [call for _, call, _ in told(spans)] == ["a", "b", "c"]
    tried = [
        llm("call", "", 0, 99, "no_usage"),
        llm("1", "call", 1, 9, "no_usage"),
        llm("2", "call", 10, 19, "no_usage"),
    ]
    assert [call for _, call, _ in told(tried)] == ["1", "2"]


def test_two_billed_calls_one_within_the_other_are_two_rounds() -> None:
    assert len(rounds([llm("outer", "", 0, 99), llm("inner", "outer", 1, 9)])) == 2


def test_what_lies_between_two_billed_calls_does_not_make_them_one() -> None:
    spans = [llm("outer", "", 0, 99), llm("between", "outer", 1, 90, "no_usage"), llm("inner", "between", 2, 80)]
    assert [call for _, call, _ in told(spans)] == ["outer", "inner"]


def test_a_double_of_another_trace_is_no_round() -> None:
    assert rounds([llm("only", "", 0, 9, "rolled_up")]) == []


def test_tools_are_told_with_schema_and_count() -> None:
    schema = '{"type": "object",  "properties": {}}'
    definitions = (
        f'[{{"type":"function","function":{{"name":"search","description":"Finds.","parameters":{schema}}}}},'
        f'{{"name":"fetch","input_schema":{schema}}},'
        f'{{"toolSpec":{{"name":"bed","inputSchema":{{"json":{schema}}}}}}},'
        f'{{"function_declarations":[{{"name":"goo","parameters_json_schema":{schema}}}]}}, 7, "?", {{"name": null}}]'
    )
    spans = [
        llm(
            "one",
            "",
            0,
            10,
            attributes={"gen_ai.tool.definitions": definitions},
            **asks("1:search", "2:search", "3:gone"),
        ),
        tool("a", "", 11),
        tool("b", "", 12, "undefined", attributes={"tool.description": "Ran."}),
    ]
    found = {each.name: each for each in toolbelt(spans)}
    assert list(found) == ["search", "fetch", "bed", "goo", "undefined", "gone"]
    assert [found[name].schema for name in ("search", "fetch", "bed", "goo", "gone")] == [*[schema] * 4, ""]
    assert (found["search"].description, found["undefined"].description) == ("Finds.", "Ran.")
    assert next((each.asked, each.ran, each.count) for each in found.values()) == (2, 1, 2)
    assert (found["gone"].called, found["fetch"].called) == (True, False)


def test_tools_in_every_place_they_are_sent_in() -> None:
    one = '{"name": "f", "parameters": {}}'
    places: list[dict[str, Any]] = [
        {"attributes": {"ai.prompt.tools": json.dumps([one])}},
        {"attributes": {"llm.tools.3.tool.json_schema": one}},
        {"attributes": {"llm.request.functions.1.name": "f", "llm.request.functions.1.parameters": "{}"}},
        {"attributes": {"llm.invocation_parameters": f'{{"tools": [{one}]}}'}},
        {"attributes": {"model_request_parameters": f'{{"function_tools": [{one}]}}'}},
        {"attributes": {"llm.openai.tools": "[{'type': 'function', 'function': {'name': 'f', 'parameters': {}}}]"}},
        {"input_key": "input.value", "input": f'{{"messages": [], "tools": [{one}]}}'},
        {
            "input_key": "x",
            "input": f'{{"contents": [], "config": {{"tools": [{{"function_declarations": [{one}]}}]}}}}',
        },
    ]
    for place in places:
        assert [(each.name, each.schema) for each in toolbelt([Span("s", kind="llm", **place)])] == [("f", "{}")], place


def test_what_tools_were_given_and_gave() -> None:
    def ran(input_: str, output: str, **more: Any) -> tuple[str, str]:
        span = tool("t", "", 1, input=input_, input_key="i", output=output, output_key="o", **more)
        (found,) = rounds([span])
        return found.actions[0].arguments, found.actions[0].result

    message = {"type": "constructor", "kwargs": {"type": "tool", "content": "21°C", "tool_call_id": "1"}}
    assert ran('{"a": 1}', '"21°C"') == ('{"a": 1}', "21°C")
    assert ran('{"args": [], "kwargs": {"a": 1}}', '[{"text": "21°C"}]') == ('{"a": 1}', "21°C")
    assert ran('{"kwargs": {"a": 1}, "args": [2]}', json.dumps({"output": message}))[1] == "21°C"
    assert ran("plain", '{"data": {"type": "tool", "content": "21°C"}, "type": "tool"}') == ("plain", "21°C")
    details = "gen_ai.client.inference.operation.details"
    said = '[{"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": [{"text": "21°C"}]}]}]'
    span = tool(
        "t",
        "",
        1,
        output_key=f"event:{details}#gen_ai.output.messages",
        events=((details, {"gen_ai.output.messages": said}),),
    )
    assert rounds([span])[0].actions[0].result == "21°C"


def test_spans_are_read_from_columns() -> None:
    row = {
        "SpanId": "a",
        "Timestamp": 1760000000000000001,
        "Duration": 5,
        "StatusCode": "Error",
        "Kind": "llm",
        "Cost": Decimal("0.000173775000"),
        "InputTokens": 7,
        "SpanAttributes": [("x", "gone"), ("x", "y")],
        "InputKey": "input.value",
        "Input": "hi",
        "Events.Name": ["e", "f"],
        "Events.Attributes": [[("k", "v")], []],
    }
    later = {"SpanId": "b", "Timestamp": 1760000000000000002, "SpanAttributes": [("z", "")]}
    (other, span) = read_spans(pa.concat_tables([stored(later, {"SpanId": "a"}), stored({}, row).slice(1)]))[::-1]
    assert (span.start, span.end, span.error) == (1760000000000000001, 1760000000000000006, True)
    assert (span.cost, span.input_tokens) == (Decimal("0.000173775"), 7)
    assert span.events == (("e", {"k": "v"}), ("f", {}))
    assert (span.value("input.value"), span.value("x"), span.value("z")) == ("hi", "y", "")
    assert (dict(span.attributes), dict(other.attributes)) == ({"x": "y"}, {"z": ""})
    assert (other.span_id, other.cost, other.error, other.events) == ("b", None, False, ())
    assert read_spans(stored()) == []


IDS = st.sampled_from("abcdefgh")
SPANS = st.builds(
    Span,
    span_id=IDS,
    parent_id=st.one_of(IDS, st.just("")),
    kind=st.sampled_from(["llm", "llm", "tool", "agent", "internal", "eval", "?"]),
    operation=st.sampled_from(["chat", "", "embeddings"]),
    start=st.integers(0, 6),
    end=st.integers(0, 9),
    price_status=st.sampled_from(["priced", "rolled_up", "no_usage", "unknown_model", "", "?"]),
    cost=st.one_of(st.none(), st.decimals(0, 9, places=3)),
    input_tokens=st.integers(0, 1),
    response_id=st.sampled_from(["", "r1", "r2"]),
    scope=st.sampled_from(["one", "two"]),
    tool_name=st.sampled_from(["", "search", "fetch"]),
    agent_name=st.sampled_from(["", "search"]),
    output_key=st.just(ANSWERS),
    output=st.one_of(st.text(), st.sampled_from([asks("1:search")["output"], asks("1:fetch", "2:search")["output"]])),
    attributes=st.dictionaries(st.sampled_from(["gen_ai.tool.call.id", "gen_ai.system_instructions", "input.value"]), st.text(max_size=3)),
)  # fmt: skip


@settings(max_examples=40)
@given(st.lists(SPANS, max_size=8, unique_by=lambda span: span.span_id), st.randoms())
def test_any_spans_in_any_order(spans: list[Span], random: Any) -> None:
    found: list[Round] = rounds(spans)
    calls = [report.span_id for each in found if each.call for report in each.call.reports]
    actions = [action.span.span_id for each in found for action in each.actions]
    assert len({*calls, *actions}) == len(calls) + len(actions)
    assert {span.span_id for span in spans if span.stands and span.converses} <= set(calls)
    assert all(sum(report.stands for report in each.call.reports) <= 1 for each in found if each.call)
    shuffled = list(spans)
    random.shuffle(shuffled)
    assert rounds(shuffled) == found
    assert system_prompt(shuffled) == system_prompt(spans)
    assert toolbelt(shuffled) == toolbelt(spans)
