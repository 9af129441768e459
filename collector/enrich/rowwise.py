"""Enrichment row by row: what the one by column must equal, and what serves where no compiler was present."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from collector.enrich.billed.schema import BilledMask
from collector.enrich.conventions.reader import Conventions
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.pricing import charged, price
from collector.enrich.rows import Charge, seen_spans, views, with_enriched, with_starts, with_versions
from collector.enrich.starts import own_starts
from collector.model.facts import Facts, Kind
from collector.model.money import PriceStatus, usd


@dataclass(frozen=True, slots=True)
class RowReading:
    """Implements `enricher.ReadBatch`."""

    batch: pa.RecordBatch
    facts: Sequence[Facts]
    spans: pa.RecordBatch

    @property
    def with_purpose(self) -> BilledMask:
        return np.array([bool(fact.purpose) for fact in self.facts], np.bool_)

    def starting(self, starts: Mapping[int, int]) -> "RowReading":
        return dataclasses.replace(self, batch=with_starts(self.batch, starts))

    def as_model(self, model: str) -> "RowReading":
        facts = [
            dataclasses.replace(
                fact, request_model=model, response_model=model, provider="", provider_id="", reported_cost=None
            )
            for fact in self.facts
        ]
        return dataclasses.replace(self, facts=facts)


class RowEnricher:
    """Implements `enricher.Implementation`."""

    def __init__(self, conventions: Conventions) -> None:
        self._conventions = conventions

    def read(self, batch: pa.RecordBatch) -> RowReading:
        facts = [self._conventions.normalise(view) for view in views(batch)]
        return RowReading(batch, facts, seen_spans(batch, facts))

    def finish(self, catalogue: Catalogue, reading: RowReading, billed: BilledMask) -> pa.RecordBatch:
        durations = reading.batch.column("Duration").to_pylist()
        starts = own_starts(reading.batch).tolist()
        charges = [
            _charge(catalogue, fact, start, duration, billed=is_billed)
            for fact, is_billed, start, duration in zip(reading.facts, billed.tolist(), starts, durations, strict=True)
        ]
        return with_enriched(with_versions(reading.batch, reading.spans), reading.facts, charges)


_NOT_A_CALL = Charge(PriceStatus.NOT_A_CALL.value)
_ROLLED_UP = Charge(PriceStatus.ROLLED_UP.value)


def _charge(catalogue: Catalogue, fact: Facts, start: int, duration: int, *, billed: bool) -> Charge:
    if fact.usage is None and fact.kind is not Kind.LLM:
        return _NOT_A_CALL
    if fact.usage is not None and not billed:
        return _ROLLED_UP
    priced = price(
        catalogue,
        provider=fact.provider_id or fact.provider,
        request_model=fact.request_model,
        response_model=fact.response_model,
        usage=fact.usage,
        at=start,
        duration_ns=duration,
        service_tier=fact.service_tier,
        region=fact.region,
        reported_cost=fact.reported_cost,
        knows_cache_lifetime=fact.knows_cache_lifetime,
    )
    priced = charged(priced, fact.usage, fact.reported_cost, free=fact.free)
    cost = None if priced.cost is None else usd(priced.cost)
    return Charge(priced.status.value, cost, _usd_lines(priced.details), priced.ref)


def _usd_lines(lines: Mapping[str, int]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((name, usd(pico)) for name, pico in lines.items())
