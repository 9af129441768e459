"""The traces lately seen, so that a span that arrives late can change whether one already stored is billed.

Holds, for each trace, its spans' parents and its usage reports, and which of these are stored as billed. Bounded by
spans; what was forgotten is loaded again from the store when one of its spans arrives. No I/O happens here: the drain
asks which traces to load, and writes the new row versions it is given.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from collector.enrich.billed.rules import Report, billable_reports, foreign_doubles
from collector.enrich.billed.schema import SEEN_SCHEMA, Billed
from collector.model.keys import SpanKey, TraceKey
from collector.model.recent_keys import RecentKeys

_Bucket = tuple[str, str, tuple[int, int]]  # project, service, totals


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A row of `SEEN_SCHEMA`. `billed` is what its stored row says, None for a span not stored yet."""

    trace: TraceKey
    span_id: str
    parent_id: str
    service: str
    report: Report | None = None
    billed: bool | None = None


@dataclass(slots=True)
class _Trace:
    parents: dict[str, str] = field(default_factory=dict)
    reports: dict[str, Report] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    billable: set[str] = field(default_factory=set)
    stored: dict[str, bool] = field(default_factory=dict)


class RecentTraces:
    """Belongs to the drain's thread. `absorb` may be repeated for a batch whose insert failed; `confirm` ends it."""

    def __init__(self, max_spans: int, max_known: int = 1_000_000) -> None:
        self._max_spans = max_spans
        # Every trace seen. A false positive costs a look into the store, nothing else.
        self._known = RecentKeys(max_known)
        self._spans = 0
        self._traces: OrderedDict[TraceKey, _Trace] = OrderedDict()
        self._calls: dict[_Bucket, dict[SpanKey, Report]] = defaultdict(dict)
        # Doubles and the calls that stand for them, and the other way round: a call has one double at most.
        self._doubles: dict[SpanKey, SpanKey] = {}
        self._doubled: dict[SpanKey, SpanKey] = {}
        # Doubles of calls in traces that are not in memory: what their rows say stays until the other is.
        self._pinned: set[SpanKey] = set()

    def remember(self, projects: Sequence[str], trace_ids: Sequence[str]) -> None:
        """Traces that are stored, though not in memory."""
        for key in zip(projects, trace_ids, strict=True):
            self._known.add(key)

    def forgotten(self, spans: pa.RecordBatch) -> list[TraceKey]:
        """The traces of `spans` that may have stored spans and are not in memory: `load` these before `absorb`."""
        keys = set(zip(spans.column("Project").to_pylist(), spans.column("TraceId").to_pylist(), strict=True))
        return sorted(key for key in keys if key not in self._traces and key in self._known)

    def load(self, spans: pa.RecordBatch) -> None:
        """Take in the stored spans of forgotten traces."""
        loaded = _rows(spans)
        self._decide(*self._take(loaded))
        for span in loaded:
            key = (span.trace, span.span_id)
            if span.billed is False and self._is_billed(key):
                self._pinned.add(key)

    def absorb(self, spans: pa.RecordBatch) -> Billed:
        """Take in a batch and say what to bill. A span that is in it twice counts as its last row says."""
        batch = _rows(spans)
        affected = self._decide(*self._take(batch))
        billed = np.array([self._is_billed((span.trace, span.span_id)) for span in batch], np.bool_)
        revise = {
            key: is_billed
            for key in affected
            if (is_billed := self._is_billed(key)) != self._stored(key) and self._stored(key) is not None
        }
        return Billed(billed, revise)

    def confirm(self, spans: pa.RecordBatch, decided: Billed) -> None:
        """The batch and the revisions are stored."""
        for span, billed in zip(_rows(spans), decided.billed.tolist(), strict=True):
            if span.report and span.trace in self._traces:
                self._traces[span.trace].stored[span.span_id] = billed
        for (trace, span_id), is_billed in decided.revise.items():
            if trace in self._traces:
                self._traces[trace].stored[span_id] = is_billed
        self._forget()

    def _take(self, spans: Iterable[SeenSpan]) -> tuple[set[TraceKey], set[_Bucket]]:
        """The traces of `spans`, and the buckets that their former reports were in."""
        touched, left = set(), set()
        for span in spans:
            trace = self._traces.setdefault(span.trace, _Trace())
            self._traces.move_to_end(span.trace)
            self._spans += span.span_id not in trace.parents
            trace.parents[span.span_id] = span.parent_id
            if span.report:
                if span.span_id in trace.reports:
                    left.add(self._leave(span.trace, span.span_id))
                trace.reports[span.span_id] = span.report
                trace.services[span.span_id] = span.service
            if span.billed is not None:
                trace.stored[span.span_id] = span.billed
            touched.add(span.trace)
        for key in touched:
            self._known.add(key)
        return touched, left

    def _bucket(self, key: TraceKey, span_id: str) -> _Bucket:
        trace = self._traces[key]
        return key[0], trace.services[span_id], trace.reports[span_id].totals

    def _leave(self, key: TraceKey, span_id: str) -> _Bucket:
        """Take a call out of its bucket, which is to be decided again."""
        bucket = self._bucket(key, span_id)
        self._calls[bucket].pop((key, span_id), None)
        self._part((key, span_id))
        return bucket

    def _part(self, key: SpanKey) -> None:
        for own, others in ((self._doubles, self._doubled), (self._doubled, self._doubles)):
            if key in own:
                del others[own.pop(key)]

    def _decide(self, touched: set[TraceKey], buckets: set[_Bucket]) -> set[SpanKey]:
        """Bring up to date who is billed; the spans for which that may have changed."""
        affected: set[SpanKey] = set()
        for key in touched:
            trace = self._traces[key]
            trace.billable = billable_reports(trace.reports, trace.parents)
            affected |= {(key, span_id) for span_id in trace.reports}
            for span_id, report in trace.reports.items():
                if span_id in trace.billable and report.is_call and any(report.totals):
                    bucket = self._bucket(key, span_id)
                    self._calls[bucket][key, span_id] = report
                else:
                    bucket = self._leave(key, span_id)
                buckets.add(bucket)
        for bucket in buckets:
            affected |= self._decide_bucket(bucket)
        return affected

    def _decide_bucket(self, bucket: _Bucket) -> set[SpanKey]:
        calls = self._calls[bucket]
        for key in calls:
            self._part(key)
        doubles = foreign_doubles(calls)
        self._doubles |= doubles
        self._doubled |= {call: double for double, call in doubles.items()}
        self._pinned.difference_update(doubles, doubles.values())
        if not calls:
            del self._calls[bucket]
        return set(calls)

    def _is_billed(self, key: SpanKey) -> bool:
        trace = self._traces.get(key[0])
        return trace is not None and key[1] in trace.billable and key not in self._doubles and key not in self._pinned

    def _stored(self, key: SpanKey) -> bool | None:
        trace = self._traces.get(key[0])
        return trace.stored.get(key[1]) if trace else None

    def _forget(self) -> None:
        """Drop the traces not touched for longest. A call's doubles stay as they are without it."""
        while self._spans > self._max_spans and len(self._traces) > 1:
            key = next(iter(self._traces))
            for span_id in self._traces[key].reports:
                self._drop_call(key, span_id)
            self._spans -= len(self._traces.pop(key).parents)

    def _drop_call(self, trace: TraceKey, span_id: str) -> None:
        key = (trace, span_id)
        if key in self._doubled:
            self._pinned.add(self._doubled[key])
        bucket = self._leave(trace, span_id)
        self._pinned.discard(key)
        if not self._calls[bucket]:
            del self._calls[bucket]


def _rows(spans: pa.RecordBatch) -> list[SeenSpan]:
    rows = zip(*(spans.column(name).to_pylist() for name in SEEN_SCHEMA.names), strict=True)
    return [_row(*row) for row in rows]


def _row(
    project: str,
    trace_id: str,
    span_id: str,
    parent_id: str,
    service: str,
    scope: str,
    response_id: str,
    start: int,
    end: int,
    reports: bool,
    is_call: bool,
    root: bool,
    input_tokens: int,
    output_tokens: int,
    detail: int,
    billed: bool | None,
) -> SeenSpan:
    report = None
    if reports:
        report = Report(span_id, is_call, input_tokens, output_tokens, detail, response_id, scope, start, end, root)
    return SeenSpan((project, trace_id), span_id, parent_id, service, report, billed)
