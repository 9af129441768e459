"""Enrichment by column gives the same rows as enrichment row by row, whatever the spans say."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.config import PricingConfig
from collector.decode import decode
from collector.enrich import Enricher, conventions
from collector.enrich.conventions.kinds import NO_CALL_KEYS
from collector.enrich.conventions.values import source
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.rowwise import RowEnricher
from collector.model.envelope import Envelope
from collector.schema import schema_root
from tests.support.captured import CASES, payloads
from tests.support.priced import row

columnwise = pytest.importorskip(
    "collector.enrich.columns.columnwise", reason="the native modules are not compiled", exc_type=ImportError
)

CONVENTIONS = conventions.load(schema_root())
PRICING = PricingConfig.model_validate(
    {
        "overrides": [
            {"model": "mine", "input": "0.3", "output": "0.0000007", "effective_from": "2026-01-02"},
            {"model": "mine", "input": "30", "output": "60", "input_above": 1000, "per_request": "0.01"},
            {"model": "hourly", "per_hour": "3.5"},
            {"model": "dear", "input": "999999", "output": "1"},
            {"model": "gratis", "input": "0", "output": "0"},
            {"model": "claude-opus", "match": "prefix", "factor": "0.85", "input_above": 1000},
            {"model": "gpt-5", "match": "prefix", "service_tier": "batch", "factor": "0.3"},
        ]
    }
)
CATALOGUE = Catalogue.bundled(PRICING)
BY_ROW = Enricher(CONVENTIONS, CATALOGUE, RowEnricher)
# Every group goes by column, however small.
BY_COLUMN = Enricher(CONVENTIONS, CATALOGUE, lambda found: columnwise.ColumnEnricher(found, 1))


def assert_same(batch: pa.RecordBatch, billed: Any) -> None:
    by_row, by_column = BY_ROW.read(batch), BY_COLUMN.read(batch)
    _assert_equal(by_column.spans, by_row.spans)
    _assert_equal(BY_COLUMN.finish(by_column, billed), BY_ROW.finish(by_row, billed))
    as_model = BY_COLUMN.finish(by_column.as_model("claude-sonnet-4-5"), billed)
    _assert_equal(as_model, BY_ROW.finish(by_row.as_model("claude-sonnet-4-5"), billed))


def _assert_equal(found: pa.RecordBatch, wanted: pa.RecordBatch) -> None:
    found.validate(full=True)
    assert found.schema.names == wanted.schema.names
    for name in wanted.schema.names:
        assert found.column(name).cast(wanted.schema.field(name).type).type == wanted.column(name).type
        assert found.column(name).to_pylist() == wanted.column(name).to_pylist(), name


@pytest.mark.parametrize("case", CASES)
def test_captured_spans(case: str) -> None:
    batch = decode([Envelope("default", 1, 1, payload) for payload in payloads(case)])
    for billed in (np.ones(batch.num_rows, np.bool_), np.zeros(batch.num_rows, np.bool_)):
        assert_same(batch, billed)


def test_all_captured_spans_at_once_with_shared_tables() -> None:
    envelopes = [Envelope("default", 1, 1, payload) for case in CASES for payload in payloads(case)]
    batch = decode(envelopes * 3)
    usual = Enricher(CONVENTIONS, CATALOGUE)
    billed = np.arange(batch.num_rows) % 2 == 0
    for _ in range(2):
        _assert_equal(usual.finish(usual.read(batch), billed), BY_ROW.finish(BY_ROW.read(batch), billed))


def test_another_model_waits_for_the_tables_that_are_shared() -> None:
    """The drain adds texts to them while a re-pricing compares models."""
    implementation = columnwise.ColumnEnricher(CONVENTIONS, 1)
    reading = implementation.read(decode([Envelope("default", 1, 1, payload) for payload in payloads(CASES[0])]))
    with ThreadPoolExecutor(1) as thread:
        with implementation._lock:
            compared = thread.submit(reading.as_model, "a model never heard of")
            with pytest.raises(TimeoutError):
                compared.result(timeout=0.1)
        facts = compared.result(timeout=30).facts
    assert facts.texts.text(int(facts.codes["request_model"][0])) == "a model never heard of"


def test_no_rows() -> None:
    assert_same(decode([]), np.zeros(0, np.bool_))


@pytest.mark.parametrize("more", [{}, {"server.address": "db.example"}])
def test_content_alone_makes_no_span_of_ours(more: dict[str, str]) -> None:
    assert row({"gen_ai.prompt.0.content": "x", **more})["InputKey"] == ""


def _sources() -> list[Any]:
    specs = set()
    for family in CONVENTIONS.families:
        for lists in family.lists:
            specs |= {spec for specs in lists.values() for spec in specs}
    return [source(spec) for spec in sorted(specs)]


_SOURCES = _sources()
_PATHS = [place for place in _SOURCES if place.is_json and place.attribute]
_EVENTS = [place for place in _SOURCES if place.event]
_VERDICTS = [(rule.key, value) for family in CONVENTIONS.families for rule in family.kinds for value in rule.values]
_MODELS = ["gpt-4o", "gpt-4o-mini-2024-07-18", "claude-sonnet-4-5", "gemini-2.5-pro", "mine", "hourly", "dear",
           "gratis", "text-embedding-3-small", "o3", "nobody-knows", "deepseek-chat", "gpt-5.4", "claude-opus-4-8",
           "gpt-5", "nobody/knows:free"]  # fmt: skip
_TIERS = ["flex", "priority", "default", "batch", "fast", "standard", "gold", "SERVICE_TIER_FLEX"]
_REGIONS = ["eu.api.openai.com", "api.openai.com", "https://us.api.openai.com/v1", "us", "global"]
_MONEY = ["0", "0.0", "0.004", "0.0000375", "0.0123456789", "1e-7"]
_PROVIDERS = ["openai", "OpenAI.responses", "anthropic", "langchain", "vertexai", "deepseek", "ollama", "who"]
_TEXTS = [*_MODELS, *_PROVIDERS, "", " ", "stop", '["stop"]', '"tool_calls"', "é", "a\x00b", "gen_ai", "flex"]
_COUNTS = ["0", "1", "7", "12", "1500", "250000", "999999999", "1000000001", "99999999999", "-3", "1.5", "1e3", "x",
           "12.0", "0.000123", "true", "٣"]  # fmt: skip
_LEAVES = st.sampled_from(
    [
        '"a"',
        '""',
        '"é"',
        '"\\u00e9"',
        '"a\\"b"',
        "5",
        "0",
        "-1",
        "1.5",
        "007",
        "12345678901",
        "true",
        "null",
        "NaN",
        "[]",
        "{}",
        '["x","y"]',
        '[""]',
        '{"a":1}',
        "1e400",
        '"\t"',
        "'a'",
    ]
)
_AROUND = st.sampled_from(
    [
        "{%s}",
        "  {%s} ",
        '{%s,"z":1}',
        '{"z":[1,{"y":"\\n"}],%s}',
        "{%s}}",
        "{%s",
        "[{%s}]",
        "{%s,%s}",
        "{'%s'}",
        "\x0b{%s}",
    ]
)


@st.composite
def _elements(draw: st.DrawFn, step: str, chosen: str) -> str:
    """An array, or nearly, of which the step selects an element."""
    name, _, value = step.partition("=")
    members = [json.dumps(value)] * 3 + ['"TEXT"', "7", "null", '["IMAGE"]', '"\\u0049MAGE"']
    elements = ["5", "{}", "[]"]
    for _ in range(draw(st.integers(0, 2))):
        said = f"{json.dumps(name)}: {draw(st.sampled_from(members))}"
        rest = chosen[1:-1] if chosen.startswith("{") and chosen.endswith("}") else '"x": ' + chosen
        elements.append(draw(st.sampled_from([f"{{{said}}}", f"{{{said}, {rest}}}", f"{{{rest}, {said}}}",
                                              f"{{{said}, {said}, {rest}}}"])))  # fmt: skip
    return "[" + ", ".join(draw(st.permutations(elements))) + "]"


@st.composite
def _documents(draw: st.DrawFn, path: tuple[str, ...]) -> str:
    """JSON, or nearly, in which something may lie at the path."""
    text = draw(_LEAVES)
    for step in reversed(path):
        if step.isdigit() and draw(st.booleans()):
            text = "[" + "{}, " * int(step) + text + "]"
        elif "=" in step:
            text = draw(_elements(step, text))
        else:
            name = draw(st.sampled_from([json.dumps(step)] * 6 + ['"other"', '"\\u0069d"']))
            spaced = draw(st.sampled_from(["%s:%s", "%s : %s"])) % (name, text)
            around = draw(_AROUND)
            text = around.replace("%s", spaced)
    return text


@st.composite
def _attributes(draw: st.DrawFn) -> list[tuple[str, str]]:
    pairs = []
    for _ in range(draw(st.integers(0, 9))):
        match draw(st.integers(0, 9)):
            case 0 | 1:
                place = draw(st.sampled_from(_SOURCES))
                value = draw(st.sampled_from(_TEXTS) | st.sampled_from(_COUNTS))
                pairs.append((place.attribute or "gen_ai.request.model", value))
            case 2:
                place = draw(st.sampled_from(_PATHS))
                pairs.append((place.attribute, draw(_documents(place.path))))
            case 3:
                pairs.append(draw(st.sampled_from([*_VERDICTS, ("gen_ai.output.type", "image")])))
            case 4:
                name = draw(st.sampled_from(["input_tokens", "output_tokens", "total_tokens", "reasoning_tokens",
                                             "cache_read.input_tokens", "cache_creation.input_tokens",
                                             "details.ephemeral_1h_input_tokens", "details.input_audio_tokens",
                                             "details.web_search_requests", "output_image_tokens",
                                             "input_video_tokens", "cache_image_read_tokens",
                                             "input_cached_audio_tokens"]))  # fmt: skip
                pairs.append((f"gen_ai.usage.{name}", draw(st.sampled_from(_COUNTS))))
            case 5:
                key = draw(st.sampled_from(["gen_ai.prompt.0.content", "gen_ai.completion.0.role", "input.value",
                                            "llm.input_messages.0.message", "http.url", "gen_ai.tool.call.arguments",
                                            "gen_ai.input.messages", "gen_ai.output.messages"]))  # fmt: skip
                pairs.append((key, draw(st.sampled_from(_TEXTS))))
            case 6:
                pairs.append(("gen_ai.request.model", draw(st.sampled_from(_MODELS))))
                pairs.append(("gen_ai.provider.name", draw(st.sampled_from(_PROVIDERS))))
            case 7:
                pairs.append((draw(st.sampled_from(sorted(NO_CALL_KEYS))), draw(st.sampled_from(["", "x"]))))
            case 8:
                key, values = draw(st.sampled_from([("openai.response.service_tier", _TIERS), ("server.address", _REGIONS),
                                                    ("openai.request.service_tier", _TIERS), ("gen_ai.usage.speed", _TIERS),
                                                    ("gen_ai.usage.inference_geo", _REGIONS)]))  # fmt: skip
                pairs.append((key, draw(st.sampled_from(values))))
            case 9:
                key = draw(st.sampled_from(["gen_ai.usage.cost", "gen_ai.usage.total_cost", "llm.cost.total",
                                            "gen_ai.usage.upstream_inference_cost", "gen_ai.usage.is_byok"]))  # fmt: skip
                pairs.append((key, draw(st.sampled_from([*_MONEY, "true", "false"]))))
    return pairs


_spans = st.fixed_dictionaries(
    {
        "name": st.sampled_from(
            [
                "chat gpt-4o",
                "execute_tool weather",
                "execute_tool ",
                "tools/call weather",
                "ChatCompletion",
                "",
                "OpenAI Embeddings",
            ]
        ),
        "attributes": _attributes(),
        "events": st.lists(
            st.tuples(
                st.sampled_from(
                    [*(place.event for place in _EVENTS), "exception", "gen_ai.user.message", "gen_ai.choice"]
                ),
                _attributes(),
            ),
            max_size=1,
        ),
        "error": st.booleans(),
        "kind": st.sampled_from([0, 1, 2, 3]),
        "start": st.sampled_from(
            [0, 1_767_300_000 * 10**9, 1_767_400_000 * 10**9, 1_790_000_000 * 10**9 + 7, 2**63 - 1]
        ),
        "duration": st.sampled_from([0, 10**9, 3600 * 10**9, 2**63]),
    }
)
_resources = st.lists(
    st.sampled_from([("spanmeter.feature", "search"), ("spanmeter.agent", "a"), ("spanmeter.provider", "azure"),
                     ("service.name", "s"), ("spanmeter.service_tier", "priority"),
                     ("spanmeter.region", "eu.api.openai.com")]), max_size=3)  # fmt: skip
_SCOPES = sorted({scope for family in CONVENTIONS.families for scope in family.recognise.scopes} | {"", "x" * 200})


def _batch(groups: list[Any]) -> pa.RecordBatch:
    request: Any = ExportTraceServiceRequest()
    number = 0
    for resource, scope_name, spans in groups:
        resource_spans = request.resource_spans.add()
        _fill(resource_spans.resource.attributes, resource)
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = scope_name
        for said in spans:
            number += 1
            span = scope_spans.spans.add(
                trace_id=b"t" * 16, span_id=number.to_bytes(8), name=said["name"], start_time_unix_nano=said["start"],
                end_time_unix_nano=said["start"] + said["duration"],
            )  # fmt: skip
            span.kind = said["kind"]
            span.status.code = 2 if said["error"] else 0
            _fill(span.attributes, said["attributes"])
            for name, attributes in said["events"]:
                event = span.events.add(name=name)
                _fill(event.attributes, attributes)
    return decode([Envelope("default", 1, number, request.SerializeToString())])


def _fill(attributes: Any, pairs: list[tuple[str, str]]) -> None:
    for key, value in pairs:
        attributes.add(key=key).value.string_value = value


@settings(max_examples=100)
@given(
    st.lists(st.tuples(_resources, st.sampled_from(_SCOPES), st.lists(_spans, min_size=1, max_size=6)), max_size=4),
    st.booleans(),
)
def test_any_spans(groups: list[Any], billed: bool) -> None:
    batch = _batch(groups)
    assert_same(batch, np.full(batch.num_rows, billed))
