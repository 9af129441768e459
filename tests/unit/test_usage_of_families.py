"""Both readers say the same of whatever a library may count: every key of every family absent, zero, or positive."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.decode import decode
from collector.enrich import Enricher, conventions
from collector.enrich.conventions.families import Family
from collector.enrich.conventions.values import Source, source
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.rowwise import RowEnricher
from collector.model.envelope import Envelope
from collector.schema import schema_root

ColumnEnricher = pytest.importorskip(
    "collector.enrich.columns.columnwise", reason="the native modules are not compiled", exc_type=ImportError
).ColumnEnricher

CONVENTIONS = conventions.load(schema_root())
CATALOGUE = Catalogue.bundled()
BY_ROW = Enricher(CONVENTIONS, CATALOGUE, RowEnricher)
BY_COLUMN = Enricher(CONVENTIONS, CATALOGUE, lambda found: ColumnEnricher(found, 1))

Counts = Sequence[tuple[Source, int]]


def _places(family: Family) -> list[Source]:
    specs = {spec for counts in (family.usage, family.object_counts, family.details) for spec in _specs(counts)}
    return [source(spec) for spec in sorted(specs)]


def _specs(counts: dict[str, tuple[str, ...]]) -> list[str]:
    return [spec for keys in counts.values() for spec in keys]


_FAMILIES = {family.family: family for family in CONVENTIONS.families if _places(family)}
_COUNT = st.sampled_from([0, 0, 1, 7, 40, 180, 5000])


def _counts(family: Family) -> st.SearchStrategy[Counts]:
    """Some counts: mostly totals and the parts of them that have a bucket, in whichever words."""
    places = _places(family)
    totals = [
        place for place in places if place.spec in {*family.usage.get("input", ()), *family.usage.get("output", ())}
    ]
    one = st.tuples(st.sampled_from(totals) | st.sampled_from(places) if totals else st.sampled_from(places), _COUNT)
    return st.lists(one, max_size=8)


def _put(tree: dict[str, Any], path: Sequence[str], count: int) -> None:
    """A count at a path of a JSON document, unless something else is there."""
    step, *rest = path
    name, _, wanted = (rest[0] if rest else "").partition("=")
    if not rest:
        tree.setdefault(step, count)
    elif wanted:
        items = tree.setdefault(step, [])
        if isinstance(items, list):
            items.append({name: wanted, rest[1]: count})
    elif isinstance(found := tree.setdefault(step, {}), dict):
        _put(found, rest, count)


def _attributes(counts: Counts) -> dict[str, str]:
    plain, documents = {}, dict[str, dict[str, Any]]()
    for place, count in counts:
        if place.is_json:
            _put(documents.setdefault(place.attribute, {}), place.path, count)
        else:
            plain[place.attribute] = str(count)
    return plain | {key: json.dumps(document) for key, document in documents.items()}


def _batch(rows: Sequence[tuple[str, str, str, Counts]]) -> pa.RecordBatch:
    request: Any = ExportTraceServiceRequest()
    for number, (family, provider, model, counts) in enumerate(rows, 1):
        scope = request.resource_spans.add().scope_spans.add()
        scope.scope.name = next(iter(_FAMILIES[family].recognise.scopes), "my.app")
        span = scope.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8), name="chat")
        said = {"spanmeter.kind": "llm", "spanmeter.provider": provider, "spanmeter.model": model}
        for key, value in (said | _attributes(counts)).items():
            span.attributes.add(key=key).value.string_value = value
    return decode([Envelope("default", 1, len(rows), request.SerializeToString())])


def _row(family: str) -> st.SearchStrategy[tuple[str, str, str, Counts]]:
    return st.tuples(
        st.just(family),
        st.sampled_from(["openai", "anthropic", "google", "google-vertex", "aws", "x-ai"]),
        st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash", "grok-3-mini", "us.amazon.nova-pro-v1:0"]),
        _counts(_FAMILIES[family]),
    )


def _sent(**counts: int) -> list[tuple[Source, int]]:
    return [(source(f"gen_ai.usage.{name.replace('__', '.')}"), count) for name, count in counts.items()]


@pytest.mark.parametrize("family", sorted(_FAMILIES))
def test_of_any_counts(family: str) -> None:
    @settings(max_examples=40)
    @given(st.lists(_row(family), min_size=1, max_size=12))
    def hold(rows: list[tuple[str, str, str, Counts]]) -> None:
        _assert_same(rows)

    hold()


@pytest.mark.parametrize(
    "counts",
    [
        _sent(cache_read__input_tokens=180, details__output_image_tokens=0),
        _sent(cache_read__input_tokens=180, details__web_search_requests=0),
        _sent(cache_read__input_tokens=180, details__input_image_tokens=7),
        _sent(reasoning_tokens=180, details__output_image_tokens=0),
        _sent(input_tokens=180, cache_creation__input_tokens=0, details__ephemeral_1h_input_tokens=30,
              details__tool_use_prompt_tokens=0),
    ],
)  # fmt: skip
def test_a_detail_of_zero_changes_nothing(counts: Counts) -> None:
    row = "otel_genai", "anthropic", "claude-sonnet-4-5", counts
    without = "otel_genai", "anthropic", "claude-sonnet-4-5", [(place, count) for place, count in counts if count]
    _assert_same([row])
    found, wanted = (BY_ROW.finish(BY_ROW.read(_batch([one])), np.ones(1, np.bool_)) for one in (row, without))
    for name in ("InputTokens", "OutputTokens", "UsageDetails", "Cost", "PriceStatus"):
        assert found.column(name).to_pylist() == wanted.column(name).to_pylist()


def _assert_same(rows: Sequence[tuple[str, str, str, Counts]]) -> None:
    batch = _batch(rows)
    billed = np.ones(batch.num_rows, np.bool_)
    wanted, found = (reader.finish(reader.read(batch), billed) for reader in (BY_ROW, BY_COLUMN))
    for name in wanted.schema.names:
        assert found.column(name).to_pylist() == wanted.column(name).to_pylist(), name
