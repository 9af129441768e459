"""Stored calls priced again: what would change, and writing it as new row versions.

Rows are never altered. A call whose price is the same is left alone, so repeating a reprice does nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pyarrow as pa

from collector.enrich import Enricher
from collector.enrich.stored import PRICE_STEP, decoded_again
from collector.errors import Cancelled
from collector.model.columns import LATEST_NS
from collector.model.keys import TraceKey
from collector.model.money import decimal_text
from collector.model.progress import Progress, no_progress
from collector.spending.feed import Writing, uncounted
from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.writer import insert_versions

_PAGE = 5_000
_PRICED_COLUMNS = ("Cost", "CostDetails", "PriceStatus", "PriceRef")
_FACT_COLUMNS = (
    "Kind",
    "Provider",
    "RequestModel",
    "ResponseModel",
    "InputTokens",
    "OutputTokens",
    "CacheReadTokens",
    "CacheWriteTokens",
    "ReasoningTokens",
    "UsageDetails",
    "ReportedCost",
)


# After every start that is stored.
LATER: Final = LATEST_NS + 1


@dataclass(frozen=True, slots=True)
class Selection:
    """The calls to price again: those that started in [since, until), Unix nanoseconds, of one model or of all ("").

    `as_model` prices them as if that model had answered; such a result is never written.
    """

    since: int
    until: int = LATER
    model: str = ""
    as_model: str = ""


@dataclass(slots=True)
class Difference:
    """What changes for one model. `before` and `after` are USD, calls without a price left out."""

    calls: int = 0
    changed: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    unpriced_before: int = 0
    unpriced_after: int = 0


@dataclass(slots=True)
class Outcome:
    """Differences by the model stored, and how many rows were written."""

    models: dict[str, Difference] = field(default_factory=lambda: defaultdict(Difference))
    written: int = 0


def compare(store: Store, enricher: Enricher, selection: Selection, progress: Progress = no_progress) -> Outcome:
    """What pricing the selection again would change; changes nothing. `progress` counts calls."""
    outcome = Outcome()
    for page in _pages(store, selection, progress):
        _tally(outcome, page, _priced(enricher, page, selection))
    return outcome


def apply(
    store: Store,
    enricher: Enricher,
    selection: Selection,
    writing: Writing = uncounted,
    progress: Progress = no_progress,
) -> Outcome:
    """Write a new version of every call whose price differs, through `writing`, and the audit row.

    A call whose content has expired, and which says something else without it, keeps its price.

    When `progress`, which counts calls, cancels it, what was written stays, and is in the audit row.
    Raises ValueError for a selection with `as_model`.
    """
    if selection.as_model:
        raise ValueError("what calls would have cost on another model is only compared, never written")
    outcome = Outcome()
    try:
        for page in _pages(store, selection, progress):
            _write(store, page, _priced(enricher, page, selection), writing, outcome)
    except Cancelled:
        _audit(store, enricher, selection, outcome)
        raise
    _audit(store, enricher, selection, outcome)
    return outcome


def _write(store: Store, page: pa.Table, batch: pa.RecordBatch, writing: Writing, outcome: Outcome) -> None:
    rows = batch.filter(pa.array(_tally(outcome, page, batch), pa.bool_()))
    with writing(store, lambda: _traces(rows), False) as feed:
        insert_versions(store, rows, "reprice", feed.insert)
    outcome.written += rows.num_rows


def _traces(rows: pa.RecordBatch) -> set[TraceKey]:
    return set(zip(rows.column("Project").to_pylist(), rows.column("TraceId").to_pylist(), strict=True))


def _pages(store: Store, selection: Selection, progress: Progress) -> Iterator[pa.Table]:
    key: dict[str, Any] = {"project": "", "hour": 0, "trace_id": "", "span_id": ""}
    period = {"since": selection.since, "until": selection.until, "model": selection.model}
    done, total = 0, store.query(named_query("calls_count"), period).column("Calls")[0].as_py()
    while True:
        progress(done, max(done, total))
        page = store.query(named_query("calls_page"), {**period, **key, "limit": _PAGE})
        if not page.num_rows:
            return
        yield page
        done += page.num_rows
        last = page.slice(page.num_rows - 1).select(["Project", "KeyHour", "TraceId", "SpanId"]).to_pylist()[0]
        key = dict(zip(key, last.values(), strict=True))


def _priced(enricher: Enricher, page: pa.Table, selection: Selection) -> pa.RecordBatch:
    reading = enricher.read(decoded_again(page, PRICE_STEP))
    if selection.as_model:
        reading = reading.as_model(selection.as_model)
    return enricher.finish(reading, np.ones(page.num_rows, np.bool_))


def _tally(outcome: Outcome, page: pa.Table, batch: pa.RecordBatch) -> list[bool]:
    """Add a page to the differences; which of its rows change."""
    before = page.select([*_PRICED_COLUMNS, "ResponseModel", "RequestModel"]).to_pylist()
    after = pa.Table.from_batches([batch]).select(list(_PRICED_COLUMNS)).to_pylist()
    changes = []
    for old, new in zip(before, after, strict=True):
        difference = outcome.models[old["ResponseModel"] or old["RequestModel"]]
        changed = any(_comparable(old[name]) != _comparable(new[name]) for name in _PRICED_COLUMNS)
        difference.calls += 1
        difference.changed += changed
        difference.before += old["Cost"] or 0
        difference.after += new["Cost"] or 0
        difference.unpriced_before += old["Cost"] is None
        difference.unpriced_after += new["Cost"] is None
        changes.append(changed)
    return changes


def _comparable(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def _audit(store: Store, enricher: Enricher, selection: Selection, outcome: Outcome) -> None:
    """One row for what was written, if anything was."""
    if not outcome.written:
        return
    store.command(
        named_query("record_reprice"),
        {
            "since": selection.since,
            "until": selection.until,
            "model": selection.model,
            "catalogue": enricher.catalogue.version,
            "rows": outcome.written,
            "before": str(sum((model.before for model in outcome.models.values()), Decimal(0))),
            "after": str(sum((model.after for model in outcome.models.values()), Decimal(0))),
        },
    )


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """An outcome as JSON: money as decimal strings."""
    models = {
        name: {
            "calls": model.calls,
            "changed": model.changed,
            "before": decimal_text(model.before),
            "after": decimal_text(model.after),
            "difference": decimal_text(model.after - model.before),
            "unpriced_before": model.unpriced_before,
            "unpriced_after": model.unpriced_after,
        }
        for name, model in outcome.models.items()
    }
    return {"models": models, "written": outcome.written}
