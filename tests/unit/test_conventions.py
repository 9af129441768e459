"""Families are data with an explicit precedence; any span becomes facts, whatever its attributes hold."""

import itertools
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.enrich.conventions.content import content_of
from collector.enrich.conventions.families import load_families, load_providers, load_usage_objects
from collector.enrich.conventions.reader import Conventions, load
from collector.enrich.conventions.recipes import known_keys
from collector.enrich.conventions.values import Branch, Reader, source
from collector.errors import ConfigError
from collector.model.facts import Facts, Kind, SpanView
from collector.model.usage import Usage
from collector.schema import schema_root

CONVENTIONS = load(schema_root())
PROVIDERS = load_providers(schema_root() / "providers.yaml")


def facts(attributes: dict[str, str], **span: Any) -> Facts:
    return CONVENTIONS.normalise(SpanView(attributes=attributes, **span))


# --- precedence


def test_precedence_is_the_order_of_the_files() -> None:
    assert [family.family for family in CONVENTIONS.families] == [
        "spanmeter", "langfuse", "langsmith", "mlflow", "laminar", "mastra", "vercel_ai", "strands", "google_adk",
        "agent_framework", "pydantic_ai", "logfire", "litellm", "openlit", "anthropic_sdk", "claude_code",
        "codex", "gemini_cli", "qwen_code", "openinference_bedrock", "openinference",
        "traceloop", "otel_genai",
    ]  # fmt: skip


def test_our_own_attributes_win_over_every_family() -> None:
    said = facts(
        {
            "spanmeter.kind": "tool",
            "spanmeter.feature": "checkout",
            "spanmeter.usage.input_tokens": "7",
            "gen_ai.operation.name": "chat",
            "gen_ai.usage.input_tokens": "9",
            "gen_ai.usage.output_tokens": "1",
            "openinference.span.kind": "AGENT",
        }
    )
    assert (said.kind, said.feature) == (Kind.TOOL, "checkout")
    assert said.usage
    assert said.usage.input_tokens == 7
    assert said.family == "openinference"


def test_our_own_attributes_on_the_resource_hold_for_its_spans() -> None:
    resource = {"spanmeter.feature": "search"}
    assert facts({}, resource=resource).feature == "search"
    assert facts({"spanmeter.feature": "checkout"}, resource=resource).feature == "checkout"


_SAME_FACT = {
    "langfuse.observation.type": "generation",
    "langsmith.span.kind": "tool",
    "ai.operationId": "ai.generateText",
    "openinference.span.kind": "EVALUATOR",
    "traceloop.span.kind": "workflow",
    "gen_ai.operation.name": "execute_tool",
}
_KIND_OF = {
    "langfuse.observation.type": Kind.LLM,
    "langsmith.span.kind": Kind.TOOL,
    "ai.operationId": Kind.AGENT,
    "openinference.span.kind": Kind.EVAL,
    "traceloop.span.kind": Kind.INTERNAL,
    "gen_ai.operation.name": Kind.TOOL,
}


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(_SAME_FACT, 2)))
def test_of_two_families_the_one_with_the_lower_order_is_believed(first: str, second: str) -> None:
    for pair in ((first, second), (second, first)):
        assert facts({key: _SAME_FACT[key] for key in pair}).kind is _KIND_OF[first]


# --- kinds


@pytest.mark.parametrize(
    ("attributes", "name", "kind", "operation", "rollup"),
    [
        ({"gen_ai.operation.name": "chat"}, "", Kind.LLM, "chat", False),
        ({"gen_ai.operation.name": "embedding"}, "", Kind.LLM, "embeddings", False),
        ({"gen_ai.operation.name": "invoke_agent"}, "", Kind.AGENT, "invoke_agent", True),
        ({"gen_ai.operation.name": "my_step"}, "", Kind.LLM, "my_step", True),
        ({"openinference.span.kind": "CHAIN"}, "", Kind.INTERNAL, "", True),
        ({"mlflow.spanType": '"CHAT_MODEL"'}, "", Kind.LLM, "chat", False),
        ({"ai.operationId": "ai.generateText"}, "", Kind.AGENT, "invoke_agent", True),
        ({"ai.operationId": "ai.embedMany.doEmbed"}, "", Kind.LLM, "embeddings", False),
        ({"llm.request.type": "completion"}, "", Kind.LLM, "chat", False),
        ({"mastra.span.type": "model_generation"}, "", Kind.LLM, "chat", True),
        ({"lmnr.span.type": "LLM"}, "", Kind.LLM, "chat", False),
        ({"mcp.method.name": "tools/call"}, "", Kind.TOOL, "execute_tool", False),
        ({}, "GET /", None, "", False),
    ],
)
def test_kinds(attributes: dict[str, str], name: str, kind: Kind | None, operation: str, rollup: bool) -> None:
    said = facts({**attributes, "gen_ai.usage.input_tokens": "3"} if kind else attributes, name=name)
    assert (said.kind, said.operation) == (kind or Kind.INTERNAL, operation)
    assert said.usage_is_aggregate is rollup


def test_the_shape_decides_when_nothing_states_the_kind() -> None:
    assert facts({"gen_ai.request.model": "m", "gen_ai.tool.name": "t"}).kind is Kind.TOOL
    assert facts({"gen_ai.usage.input_tokens": "1", "gen_ai.tool.name": "t"}).kind is Kind.LLM
    assert facts({"gen_ai.tool.name": "t"}).kind is Kind.TOOL
    assert facts({"gen_ai.evaluation.name": "e"}).kind is Kind.EVAL
    assert facts({"gen_ai.agent.name": "a"}).kind is Kind.INTERNAL


@pytest.mark.parametrize(
    "call",
    [
        {"gen_ai.operation.name": "chat"},
        {"gen_ai.usage.output_tokens": "1"},
        {"gen_ai.input.messages": "[]"},
        {"gen_ai.response.id": "msg_1"},
    ],
)
def test_a_model_makes_a_call_only_together_with_what_a_call_has(call: dict[str, str]) -> None:
    model = {"gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o"}
    assert facts(model).kind is Kind.INTERNAL
    assert facts({**model, **call}).kind is Kind.LLM


@pytest.mark.parametrize("other", ["db.system", "db.system.name", "messaging.system"])
def test_a_database_or_a_queue_is_asked_and_no_model(other: str) -> None:
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": "9"}
    said = facts({**chat, other: "redis"})
    assert (said.kind, said.usage) == (Kind.INTERNAL, None)


def test_serving_http_is_no_call_and_asking_by_it_is_one() -> None:
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": "9"}
    for key in ("http.route", "http.request.method", "http.method"):
        served = CONVENTIONS.normalise(SpanView(span_kind="Server", attributes={**chat, key: "POST"}))
        asked = CONVENTIONS.normalise(SpanView(span_kind="Client", attributes={**chat, key: "POST"}))
        assert (served.kind, asked.kind) == (Kind.INTERNAL, Kind.LLM)
        assert served.usage == asked.usage, "where no call is below, its usage is known here only"
    assert CONVENTIONS.normalise(SpanView(span_kind="Server", attributes=chat)).kind is Kind.LLM


def test_a_span_without_attributes_is_known_by_its_scope_and_name() -> None:
    said = CONVENTIONS.normalise(SpanView(name="chat claude", scope_name="openlit.instrumentation.anthropic"))
    assert (said.family, said.kind, said.operation) == ("openlit", Kind.LLM, "chat")


# --- values


@pytest.mark.parametrize("sent", ["stop", '"stop"', '["stop"]', '["","stop","length"]'])
def test_finish_reasons_come_in_several_wrappings(sent: str) -> None:
    assert facts({"gen_ai.response.finish_reasons": sent}).finish_reason == "stop"


def test_a_framework_is_no_provider() -> None:
    said = facts({"gen_ai.provider.name": "strands-agents", "gen_ai.request.model": "m"})
    assert (said.provider, said.provider_id) == ("strands-agents", "")
    said = facts(
        {"langsmith.span.kind": "llm", "gen_ai.system": "langchain", "langsmith.metadata.ls_provider": "openai"}
    )
    assert (said.provider, said.provider_id) == ("openai", "openai")


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        ("OpenAI", "openai"),
        ("openai.responses", "openai"),
        ("anthropic.messages", "anthropic"),
        ("gcp.gemini", "google"),
        ("gcp.vertex_ai", "google-vertex"),
        ("aws.bedrock", "aws"),
        ("azure.ai.openai", "azure"),
        ("our-own-gateway", "our-own-gateway"),
        ("", ""),
    ],
)
def test_provider_names(sent: str, canonical: str) -> None:
    assert CONVENTIONS.providers.canonical(sent) == canonical


def test_a_model_without_qualification_is_the_one_asked_for_when_the_call_failed() -> None:
    attributes = {"openinference.span.kind": "LLM", "llm.model_name": "m"}
    assert facts(attributes, status_code="Error").request_model == "m"
    assert facts(attributes, status_code="Error").response_model == ""
    assert facts(attributes, status_code="Ok").response_model == "m"


def test_what_is_inside_content_is_believed_on_model_calls_only() -> None:
    output = {"output.value": '{"id": "resp_1"}'}
    assert facts({**output, "openinference.span.kind": "LLM"}).response_id == "resp_1"
    assert facts({**output, "openinference.span.kind": "TOOL"}).response_id == ""


def test_json_cut_by_a_length_limit_is_only_text() -> None:
    said = facts({"langfuse.observation.type": "generation", "langfuse.observation.usage_details": '{"input": 1'})
    assert said.usage is None


def test_a_dictionary_printed_by_python_is_read() -> None:
    counts = {"litellm.call_id": "1", "gen_ai.usage.input_tokens": "90", "gen_ai.usage.output_tokens": "1"}
    for literal, cached in (
        ("{'prompt_tokens_details': {'cached_tokens': 7, 'audio_tokens': None}}", 7),
        ("{'prompt_tokens_details': {'cached_tokens': 7, 'note': \"it's\"}}", 0),
        ("{'prompt_tokens_details': Wrapper(cached_tokens=7)}", 0),
    ):
        usage = facts({**counts, "metadata.usage_object": literal}).usage
        assert usage
        assert usage.cache_read_tokens == cached


def test_caches_of_the_senders_words_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.enrich.conventions.reader._MAX_SHAPES", 3)
    monkeypatch.setattr("collector.enrich.conventions.providers._MAX_NAMES", 3)
    conventions = Conventions(CONVENTIONS.families, PROVIDERS)
    for number in range(10):
        for name in (f"p{number}", f"p{number}" * 200):
            span = SpanView(scope_name=f"s{number}", attributes={"gen_ai.system": name, "gen_ai.request.model": "m"})
            assert conventions.normalise(span).provider_id == name
    assert len(conventions._shapes) <= 3
    assert len(conventions.providers._seen) <= 3
    assert max(map(len, conventions.providers._seen)) < 200


def test_spans_of_other_things_say_nothing() -> None:
    assert facts({"http.method": "GET"}, name="GET /", scope_name="web") == Facts()


def test_reported_costs_are_kept_as_sent() -> None:
    assert facts(
        {"openlit.agent.version_hash": "x", "gen_ai.usage.cost": "0.0016380000000000001"}
    ).reported_cost == Decimal("0.001638")
    assert facts({"langfuse.observation.type": "generation", "langfuse.observation.cost_details": '{"total": 0.003}'}
                 ).reported_cost == Decimal("0.003")  # fmt: skip


# --- usage


def test_the_meaning_of_an_input_depends_on_family_and_provider() -> None:
    counts = {
        "gen_ai.usage.input_tokens": "500",
        "gen_ai.usage.output_tokens": "5",
        "gen_ai.usage.cache_read.input_tokens": "400",
    }
    for provider, expected in (("anthropic", 900), ("openai", 500)):
        said = CONVENTIONS.normalise(
            SpanView(scope_name="openlit.instrumentation", attributes={**counts, "gen_ai.provider.name": provider})
        )
        assert said.usage
        assert said.usage.input_tokens == expected
    said = facts({**counts, "gen_ai.provider.name": "anthropic"})
    assert said.usage
    assert said.usage.input_tokens == 500


def test_version_5_of_the_ai_sdk_gives_input_without_cached_tokens() -> None:
    counts = {
        "ai.operationId": "ai.generateText.doGenerate",
        "ai.model.provider": "anthropic.messages",
        "ai.usage.inputTokens": "500",
        "ai.usage.outputTokens": "5",
        "ai.response.providerMetadata": '{"anthropic":{"usage":{"cache_read_input_tokens":300,"cache_creation_input_tokens":100}}}',
    }
    five = facts(counts).usage
    six = facts({**counts, "ai.usage.inputTokenDetails.noCacheTokens": "100"}).usage
    assert five
    assert six
    assert (five.input_tokens, five.cache_read_tokens, five.cache_write_tokens) == (900, 300, 100)
    assert six.input_tokens == 500


@pytest.mark.parametrize(
    ("details", "tokens"),
    [
        ('{"input": 498, "input_cached_tokens": 513, "output": 70, "output_reasoning_tokens": 31}', (1011, 513, 101, 31)),
        (('{"prompt_tokens": 1011, "prompt_tokens_details": {"cached_tokens": 513}, "completion_tokens": 101,'
         ' "completion_tokens_details": {"reasoning_tokens": 31}}'), (1011, 513, 101, 31)),
        ('{"input": 321, "output": 123, "cache_read_input_tokens": 45, "total": 444}', (366, 45, 123, 0)),
    ],
)  # fmt: skip
def test_langfuse_counts_exclude_what_has_a_line_of_its_own(details: str, tokens: tuple[int, ...]) -> None:
    usage = facts({"langfuse.observation.type": "generation", "langfuse.observation.usage_details": details}).usage
    assert usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens, usage.reasoning_tokens) == tokens


def test_an_aggregate_is_used_only_without_usage_of_its_own() -> None:
    sums = {"gen_ai.aggregated_usage.input_tokens": "2033", "gen_ai.aggregated_usage.output_tokens": "203"}
    said = facts(sums)
    assert said.usage
    assert (said.usage.input_tokens, said.usage_is_aggregate) == (2033, True)
    said = facts({**sums, "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "5"})
    assert said.usage
    assert (said.usage.input_tokens, said.usage_is_aggregate) == (5, False)


# --- content


def test_a_single_attribute_is_preferred_to_spread_content() -> None:
    spread = {"openinference.span.kind": "LLM", "llm.input_messages.4.message.content": "hi"}
    assert facts(spread).input_key == "llm.input_messages."
    assert facts({**spread, "input.value": "{}"}).input_key == "input.value"


def test_content_in_events_is_pointed_at() -> None:
    events = [("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": "[1]"})]
    span = SpanView(attributes={"gen_ai.operation.name": "chat"}, events=events)
    key = CONVENTIONS.normalise(span).input_key
    assert key == "event:gen_ai.client.inference.operation.details#gen_ai.input.messages"
    assert content_of(span, key) == "[1]"


def test_content_is_byte_for_byte_the_attribute() -> None:
    text = '[{"role": "user",  "parts": [{"content": "Z\\u00fcrich \ud7ff"}]}]'
    span = SpanView(attributes={"gen_ai.operation.name": "chat", "gen_ai.input.messages": text})
    assert content_of(span, CONVENTIONS.normalise(span).input_key) == text


def test_a_tool_has_arguments_and_a_result() -> None:
    said = facts(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "get_weather",
            "gen_ai.tool.call.arguments": "{}",
            "gen_ai.tool.call.result": "sunny",
            "gen_ai.input.messages": "[]",
        }
    )
    assert (said.tool_name, said.input_key, said.output_key) == (
        "get_weather", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["execute_tool search", "tools/call search"])
def test_a_tool_without_a_name_has_that_of_its_span(name: str) -> None:
    span = SpanView(attributes={"mcp.method.name": "tools/call"}, name=name)
    assert CONVENTIONS.normalise(span).tool_name == "search"


# --- any input


_KEYS = sorted(known_keys(CONVENTIONS.families))
_TEXT = st.one_of(
    st.text(max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["true", "null", "[]", "{}", '""', "[" * 2000, "{'a': {", "{'input_tokens': __import__('os')}", "1e999999999"]),
    st.sampled_from([value for family in CONVENTIONS.families for rule in family.kinds for value in rule.values]),
    st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4)),
                 lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                     st.sampled_from(["input", "output", "input_tokens", "prompt_tokens", "id", "usage", "0"]), inner, max_size=3),
                 max_leaves=6).map(json.dumps),
)  # fmt: skip
_ATTRIBUTES = st.dictionaries(st.one_of(st.sampled_from(_KEYS), st.text(max_size=8)), _TEXT, max_size=14)


@settings(max_examples=300)
@given(
    _ATTRIBUTES,
    st.text(max_size=8),
    st.sampled_from(["", "openlit.x", "langfuse-sdk", "pydantic-ai", "com.anthropic.sdk.python"]),
    st.lists(st.tuples(st.sampled_from(["gen_ai.choice", "gen_ai.content.prompt", "e"]), _ATTRIBUTES), max_size=2),
)
def test_any_span_becomes_facts(attributes: dict[str, str], name: str, scope: str, events: list[Any]) -> None:
    before = dict(attributes)
    said = CONVENTIONS.normalise(SpanView(name=name, scope_name=scope, attributes=attributes, events=events))
    assert attributes == before
    assert isinstance(said.kind, Kind)
    for text in (said.operation, said.provider, said.request_model, said.response_model, said.conversation_id,
                 said.user_id, said.feature, said.agent_name, said.tool_name, said.finish_reason, said.service_tier):  # fmt: skip
        assert isinstance(text, str)
    assert not said.usage or said.usage.cache_read_tokens + said.usage.cache_write_tokens <= said.usage.input_tokens
    assert not said.usage or 0 <= said.usage.reasoning_tokens <= said.usage.output_tokens


@given(st.lists(_ATTRIBUTES, min_size=1, max_size=8))
@settings(max_examples=50)
def test_facts_depend_on_the_span_alone(several: list[dict[str, str]]) -> None:
    """The caches of shapes and names change nothing."""
    fresh = [Conventions(CONVENTIONS.families, PROVIDERS).normalise(SpanView(attributes=each)) for each in several]
    assert [facts(each) for each in several] == fresh


# --- loading


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(schema_root() / "conventions", tmp_path / "conventions")
    return tmp_path / "conventions"


def family(**changes: Any) -> str:
    return yaml.safe_dump(
        {"family": "mine", "order": 5, "about": "a", "checked": "1", "recognise": {"keys": ["mine.kind"]}, **changes}
    )


def test_adding_a_library_is_adding_a_file(folder: Path) -> None:
    (folder / "mine.yaml").write_text(
        family(
            kinds=[{"key": "mine.kind", "values": {"call": {"kind": "llm", "operation": "chat"}}}],
            fields={"request_model": ["mine.model"]},
            usage={"input": ["mine.in"], "output": ["mine.usage#out"]},
        )
    )
    conventions = Conventions(load_families(folder), PROVIDERS)
    said = conventions.normalise(
        SpanView(attributes={"mine.kind": "CALL", "mine.model": "m", "mine.in": "3", "mine.usage": '{"out": 4}'})
    )
    assert (said.family, said.kind, said.request_model) == ("mine", Kind.LLM, "m")
    assert said.usage
    assert (said.usage.input_tokens, said.usage.output_tokens) == (3, 4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            family(order=900),
            "mine.yaml and otel_genai.yaml both have order 900|otel_genai.yaml and mine.yaml both have order 900",
        ),
        (family(family="other"), "describes the family 'other'; name the file other.yaml"),
        (family(recognise={}), "nothing recognises the family"),
        (family(colour="red"), "colour: unknown key"),
        (family(fields={"modle": ["x"]}), "fields.modle is no fact; known here: provider"),
        (family(usage={"inputs": ["x"]}), "usage.inputs is no fact"),
        (family(usage={"input": ["#x"]}), "'#x' names no attribute"),
        (family(usage={"input": ["x", "x"]}), "the same key is listed twice"),
        (family(kinds=[{"key": "k", "values": {"CALL": {"kind": "llm"}}}]), "write 'call'"),
        (family(kinds=[{"key": "k", "values": {"call": {"kind": "chat"}}}]), "kinds.0.values.call.kind"),
        (family(names=[{"pattern": "(", "kind_rule": {"kind": "llm"}}]), "is not a regular expression"),
        ("[", "mine.yaml is not YAML"),
    ],
)
def test_mistakes_are_sentences(folder: Path, text: str, sentence: str) -> None:
    (folder / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        load_families(folder)
    assert any(part in str(error.value) for part in sentence.split("|"))


def test_no_conventions_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no convention file"):
        load_families(tmp_path)


def test_a_usage_object_that_nobody_describes_is_a_mistake() -> None:
    odd = CONVENTIONS.families[1].model_copy(update={"usage_objects": {"acme": ("usage#",)}})
    with pytest.raises(ConfigError, match=r"usage_objects\.acme is no usage object; known are openai"):
        odd.with_objects(load_usage_objects(schema_root() / "usage_objects.yaml"))


def test_an_element_of_an_array_is_selected_by_a_member() -> None:
    text = (
        '{"details": [{"modality": "TEXT", "n": 1}, 5, {"n": 2, "modality": "IMAGE"}, {"modality": "IMAGE", "n": 3}]}'
    )
    reader = Reader(SpanView(attributes={"usage": text}))
    assert reader.value(source("usage#details.modality=IMAGE.n")) == 2
    assert reader.value(source("usage#details.modality=AUDIO.n")) is None


_PATHS = ("", "id", "usage", "usage.cost", "usage.details.0.n", "items.-1.id", "items.kind=a.n", '"a.b".c')
_TEXTS = (
    '{"id": "r-1", "usage": {"cost": 2, "details": [{"n": 1}]}, "a.b": {"c": null}}',
    '{"usage": 5, "items": [{"kind": "b", "id": ""}, {"kind": "a", "n": 3, "id": "z"}], "id": "r-1"}',
    '[{"id": "r-1"}]',
    '{"id": "first", "usage": {"cost": 1}, "id": "second"}',
    '{"id": "r-1", "usage": {"cost": 1',
    "{'id': 'r-1', 'usage': {'cost': None}}",
    '{"\\u0069d": "hidden", "usage": {"c\\u006fst": 7}}',
    '"text"',
    "no JSON",
    "",
)


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("whole", [False, True])
def test_a_document_read_at_once_has_what_each_place_has(text: str, whole: bool) -> None:
    places = [source(f"~body#{path}") for path in _PATHS if path or whole]
    document, found = Branch(), dict[str, Any]()
    for place in places:
        document.add(place)
    document.read(text, found)
    assert {place.key: found.get(place.key) for place in places} == {
        place.key: Reader(SpanView(attributes={"body": text})).value(place) for place in places
    }


def test_what_an_answer_counts_is_read_on_calls_only() -> None:
    sent = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "claude-sonnet-4-5",
        "llm.token_count.prompt": "1000",
        "llm.token_count.completion": "100",
        "output.value": '{"usage": {"server_tool_use": {"web_search_requests": 3}}}',
    }
    assert (facts(sent).usage or Usage()).details == {"web_searches": 3}
    assert (facts(sent | {"openinference.span.kind": "AGENT"}).usage or Usage()).details == {}


def test_parts_beside_a_count_of_nothing_are_no_usage() -> None:
    sent = {"gen_ai.request.model": "gpt-4o", "gen_ai.usage.reasoning_tokens": "1"}
    assert facts(sent | {"gen_ai.usage.output_image_tokens": "0"}).usage is facts(sent).usage is None
