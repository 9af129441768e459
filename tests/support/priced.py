"""One span as a row, by column and row by row alike."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.config import PricingConfig
from collector.decode import decode
from collector.enrich import Enricher, conventions
from collector.enrich.enricher import NATIVE
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.rowwise import RowEnricher
from collector.model.envelope import Envelope
from collector.schema import schema_root

CONVENTIONS = conventions.load(schema_root())
CATALOGUE = Catalogue.bundled()
SECOND = 10**9
# 2026-11-14
START_NS = 20_771 * 86_400 * SECOND

Value = str | int | float | bool


def chat(model: str, provider: str = "openai", **more: Value) -> dict[str, Value]:
    """A call of 1000 tokens in and 100 out, in OpenTelemetry's words."""
    call: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
    }
    return call | more


def row(
    attributes: Mapping[str, Value],
    *,
    scope: str = "my.app",
    name: str = "chat",
    start_ns: int = START_NS,
    pricing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The enriched row of a span with these attributes."""
    return rows([attributes], scope=scope, name=name, start_ns=start_ns, pricing=pricing)[0]


def rows(
    spans: Sequence[Mapping[str, Value]],
    *,
    scope: str = "my.app",
    name: str = "chat",
    start_ns: int = START_NS,
    pricing: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """The enriched rows of as many spans, all of them billed."""
    batch = _batch(spans, scope, name, start_ns)
    catalogue = Catalogue.bundled(PricingConfig.model_validate(pricing)) if pricing else CATALOGUE
    enrichers = [Enricher(CONVENTIONS, catalogue, RowEnricher)]
    if NATIVE:
        from collector.enrich.columns.columnwise import ColumnEnricher

        enrichers.append(Enricher(CONVENTIONS, catalogue, lambda found: ColumnEnricher(found, 1)))
    billed = np.ones(len(spans), np.bool_)
    found: list[list[dict[str, Any]]] = [each.finish(each.read(batch), billed).to_pylist() for each in enrichers]
    assert all(one == found[0] for one in found)
    return found[0]


def _batch(spans: Sequence[Mapping[str, Value]], scope: str, name: str, start_ns: int) -> pa.RecordBatch:
    request: Any = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    scope_spans.scope.name = scope
    for number, attributes in enumerate(spans):
        span = scope_spans.spans.add(
            trace_id=b"t" * 16,
            span_id=number.to_bytes(7) + b"s",
            name=name,
            start_time_unix_nano=start_ns,
            end_time_unix_nano=start_ns + SECOND,
        )
        for key, value in attributes.items():
            kind = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}[type(value)]
            setattr(span.attributes.add(key=key).value, kind, value)
    return decode([Envelope("default", 1, 1, request.SerializeToString())])
