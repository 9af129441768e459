"""A total decides how counts are read; where it says nothing, the library and the provider's API do."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.config import PricingConfig
from collector.decode import decode
from collector.enrich import Enricher, conventions
from collector.enrich.conventions import totals
from collector.enrich.conventions.families import load_families
from collector.enrich.conventions.usage import INCONSISTENT
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.rowwise import RowEnricher
from collector.model.envelope import Envelope
from collector.model.facts import SpanView
from collector.schema import schema_root
from tests.support.otlp import any_value, text_of
from tests.support.usage import MEANINGS, TOTALS, Sent
from tests.support.usage_objects import OBJECTS

CONVENTIONS = conventions.load(schema_root())
CASES = (*TOTALS, *MEANINGS, *OBJECTS)


def flags(details: Any) -> set[str]:
    return {name.removeprefix(f"{INCONSISTENT}.") for name in details if name.startswith(f"{INCONSISTENT}.")}


@pytest.mark.parametrize("sent", CASES, ids=lambda sent: sent.name)
def test_what_counts_mean(sent: Sent) -> None:
    attributes = {key: text_of(any_value(value)) for key, value in sent.attributes.items()}
    facts = CONVENTIONS.normalise(
        SpanView(sent.span_name, sent.scope, attributes=attributes, scope_version=sent.version)
    )
    assert facts.usage
    assert {name: getattr(facts.usage, name) for name in sent.usage} == sent.usage
    assert flags(facts.usage.details) == set(sent.marks)


def test_both_readers_say_the_same_of_them() -> None:
    columnwise = pytest.importorskip(
        "collector.enrich.columns.columnwise", reason="the native modules are not compiled", exc_type=ImportError
    )
    catalogue = Catalogue.bundled(PricingConfig())
    by_row = Enricher(CONVENTIONS, catalogue, RowEnricher)
    by_column = Enricher(CONVENTIONS, catalogue, lambda found: columnwise.ColumnEnricher(found, 1))
    # Each twice, so that rows of one shape and of different meanings are read together.
    batch = _batch(CASES * 2)
    billed = np.ones(batch.num_rows, np.bool_)
    wanted, found = (enricher.finish(enricher.read(batch), billed) for enricher in (by_row, by_column))
    for name in wanted.schema.names:
        assert found.column(name).to_pylist() == wanted.column(name).to_pylist(), name


def _batch(cases: tuple[Sent, ...]) -> pa.RecordBatch:
    request: Any = ExportTraceServiceRequest()
    for number, sent in enumerate(cases, 1):
        scope = request.resource_spans.add().scope_spans.add()
        scope.scope.name, scope.scope.version = sent.scope, sent.version
        span = scope.spans.add(trace_id=b"t" * 16, span_id=number.to_bytes(8), name=sent.span_name)
        for key, value in sent.attributes.items():
            span.attributes.add(key=key).value.CopyFrom(any_value(value))
    return decode([Envelope("default", 1, len(cases), request.SerializeToString())])


_COUNT = st.integers(0, 40)


@given(_COUNT, _COUNT, st.integers(1, 200), _COUNT, _COUNT, _COUNT, _COUNT, st.booleans())
def test_a_difference_is_billed_or_marked(
    entire: int, output: int, total: int, read: int, write: int, reasoning: int, tool_use: int, complete: bool
) -> None:
    sent = totals.Sent(entire, output, total, read, write, reasoning, tool_use)
    usual = totals.Reading(max(entire, read + write), max(output, reasoning))
    found = totals.read_total(sent, usual, output_is_complete=complete)
    assert found.input >= read + write
    assert found.output >= reasoning
    if found != usual:
        assert found.marks
    if found.total != total:
        assert totals.TOTAL_BELOW in found.marks or total == entire + output


def test_the_conventions_reading_is_taken_where_two_give_the_total() -> None:
    sent = totals.Sent(100, 50, 200, cache_read=50, reasoning=50)
    outside = totals.Reading(150, 50)
    assert totals.read_total(sent, outside) == outside
    assert totals.read_total(sent, totals.Reading(100, 100)) == totals.Reading(100, 100)


def test_every_rule_on_what_counts_include_has_its_source() -> None:
    rules = [rule for family in load_families(schema_root() / "conventions") for rule in family.meaning]
    assert rules
    assert all(rule.source.strip() for rule in rules)
