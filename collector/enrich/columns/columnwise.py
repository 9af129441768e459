"""Enrichment by column, with the native module: rows of one shape, calls of one price at a time."""

import dataclasses
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from collector.enrich.billed.schema import BilledMask
from collector.enrich.columns.assemble import enriched, seen_columns
from collector.enrich.columns.charges import charge
from collector.enrich.columns.reader import ColumnReader, FactColumns
from collector.enrich.conventions.reader import Conventions
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.rows import with_starts, with_versions
from collector.enrich.starts import own_starts

# A price per hour of 292 years is beyond any amount; a longer duration would not be a number here.
_MAX_LENGTH = np.uint64(2**63 - 1)


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """Implements `enricher.ReadBatch`."""

    batch: pa.RecordBatch
    facts: FactColumns
    spans: pa.RecordBatch
    # Of the tables that the facts share with other readings.
    lock: threading.Lock

    @property
    def with_purpose(self) -> BilledMask:
        return self.facts.codes["purpose"] > 0

    def starting(self, starts: Mapping[int, int]) -> "ColumnReading":
        return dataclasses.replace(self, batch=with_starts(self.batch, starts))

    def as_model(self, model: str) -> "ColumnReading":
        rows = self.batch.num_rows
        changed = {"request_model": model, "response_model": model, "provider": "", "provider_id": ""}
        with self.lock:
            codes = {name: np.full(rows, self.facts.texts.code(text), np.int32) for name, text in changed.items()}
        facts = dataclasses.replace(self.facts, codes=self.facts.codes | codes, reported_cost={})
        return dataclasses.replace(self, facts=facts)


class ColumnEnricher:
    """Implements `enricher.Implementation`. Groups of fewer than `min_rows` rows are read row by row."""

    def __init__(self, conventions: Conventions, min_rows: int = 16) -> None:
        self._reader = ColumnReader(conventions, min_rows)
        self._min_rows = min_rows
        # The drain and re-pricing share it, and its tables.
        self._lock = threading.Lock()

    def read(self, batch: pa.RecordBatch) -> ColumnReading:
        with self._lock:
            facts = self._reader.read(batch)
            return ColumnReading(batch, facts, seen_columns(batch, facts), self._lock)

    def finish(self, catalogue: Catalogue, reading: ColumnReading, billed: BilledMask) -> pa.RecordBatch:
        starts = own_starts(reading.batch)
        durations = np.minimum(np.asarray(reading.batch.column("Duration")), _MAX_LENGTH).astype(np.int64)
        with self._lock:
            charges = charge(catalogue, reading.facts, starts, durations, billed, min_rows=self._min_rows)
            return enriched(with_versions(reading.batch, reading.spans), reading.facts, charges)
