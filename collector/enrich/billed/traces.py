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

from collector.enrich.billed.names import Models
from collector.enrich.billed.rules import (
    MAX_ANSWERS,
    Report,
    billable_reports,
    foreign_answers,
    foreign_doubles,
    rank_across,
)
from collector.enrich.billed.schema import HOUR_NS, SEEN_SCHEMA, Billed, BilledMask
from collector.model.keys import SpanKey, TraceKey
from collector.model.recent_keys import RecentKeys

_Bucket = tuple[str, str, tuple[int, int]]  # project, service, totals
_Answer = tuple[str, str, str]  # project, service, response id


@dataclass(frozen=True, slots=True)
class SeenSpan:
    """A row of `SEEN_SCHEMA`. `billed` is what its stored row says, None for a span not stored yet."""

    trace: TraceKey
    span_id: str
    parent_id: str
    service: str
    report: Report | None = None
    billed: bool | None = None
    start: int = 0
    version: int = 0

    @property
    def key(self) -> SpanKey:
        return self.trace, self.span_id


@dataclass(slots=True)
class _Trace:
    """By span id. `versions` are those of the rows that count, `hours` those in which the first rows started."""

    parents: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    hours: dict[str, int] = field(default_factory=dict)
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
        # Billable calls by their response ids, and of those reported in several traces the calls that stand for them.
        self._answers: dict[_Answer, dict[SpanKey, Report]] = defaultdict(dict)
        self._answered: dict[SpanKey, SpanKey] = {}
        # The other billable calls, by their totals.
        self._calls: dict[_Bucket, dict[SpanKey, Report]] = defaultdict(dict)
        # Doubles and the calls that stand for them, and the other way round: a call has one double at most.
        self._doubles: dict[SpanKey, SpanKey] = {}
        self._doubled: dict[SpanKey, SpanKey] = {}
        # Doubles of calls in traces that are not in memory: what their rows say stays until the other is.
        self._pinned: set[SpanKey] = set()
        # Spans whose stored rows may say the wrong thing.
        self._doubtful: set[SpanKey] = set()

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
        touched, left, _ = self._take(loaded)
        self._doubtful |= self._decide(touched, left)
        self._pinned |= {span.key for span in loaded if span.billed is False and self._is_billed(span.key)}
        self._doubtful |= self._decide(touched, _Left())

    def absorb(self, spans: pa.RecordBatch) -> Billed:
        """Take in a batch and say what to bill. Of the rows of a span the last of the greatest version counts."""
        batch = _rows(spans)
        touched, left, repeated = self._take(batch)
        self._doubtful |= self._decide(touched, left)
        billed = np.array([self._is_billed((span.trace, span.span_id)) for span in batch], np.bool_)
        revise = {
            key: is_billed
            for key in self._doubtful
            if (is_billed := self._is_billed(key)) != self._stored(key) and self._stored(key) is not None
        }
        self._doubtful = set(revise)
        superseded = self._superseded(batch)
        counting = [row for row in repeated if not superseded[row]]
        return Billed(billed, revise, superseded, self._moved(batch, superseded), counting)

    def confirm(self, spans: pa.RecordBatch, decided: Billed) -> None:
        """The batch and the revisions are stored."""
        for span, billed, superseded in zip(_rows(spans), decided.billed, decided.superseded, strict=True):
            if span.report and not superseded and self._counts(span):
                self._traces[span.trace].stored[span.span_id] = bool(billed)
        for (trace, span_id), is_billed in decided.revise.items():
            if trace in self._traces and span_id in self._traces[trace].reports:
                self._traces[trace].stored[span_id] = is_billed
        self._forget()

    def _counts(self, span: SeenSpan) -> bool:
        """Whether no row of a greater version was seen of the span."""
        trace = self._traces.get(span.trace)
        return trace is not None and trace.versions.get(span.span_id) == span.version

    def _superseded(self, batch: Sequence[SeenSpan]) -> BilledMask:
        last = {span.key: row for row, span in enumerate(batch) if self._counts(span)}
        return np.array([last.get(span.key) != row for row, span in enumerate(batch)], np.bool_)

    def _moved(self, batch: Sequence[SeenSpan], superseded: BilledMask) -> dict[int, int]:
        moved = {}
        for row, span in enumerate(batch):
            first = self._traces[span.trace].hours[span.span_id] * HOUR_NS
            if not superseded[row] and not first <= span.start < first + HOUR_NS:
                moved[row] = first if span.start < first else first + HOUR_NS - 1
        return moved

    def _take(self, spans: Iterable[SeenSpan]) -> tuple[set[TraceKey], "_Left", list[int]]:
        """The traces of `spans`, where their former reports were, and the rows of spans that were known before them."""
        touched: set[TraceKey] = set()
        left = _Left()
        repeated = []
        for row, span in enumerate(spans):
            trace = self._traces.setdefault(span.trace, _Trace())
            self._traces.move_to_end(span.trace)
            if span.span_id in trace.parents:
                repeated.append(row)
            else:
                self._spans += 1
            trace.hours.setdefault(span.span_id, span.start // HOUR_NS)
            if span.version >= trace.versions.get(span.span_id, span.version):
                self._replace(trace, span, left)
            touched.add(span.trace)
        for key in touched:
            self._known.add(key)
        return touched, left, repeated

    def _replace(self, trace: _Trace, span: SeenSpan, left: "_Left") -> None:
        """Have a row count instead of what was known of its span; `left` notes where the former report was."""
        trace.versions[span.span_id] = span.version
        trace.parents[span.span_id] = span.parent_id
        if span.span_id in trace.reports:
            left.answers |= self._leave_answer(span.key)
            left.buckets.add(self._leave(span.key))
        if span.report:
            trace.reports[span.span_id] = span.report
            trace.services[span.span_id] = span.service
            if span.billed is not None:
                trace.stored[span.span_id] = span.billed
        elif trace.reports.pop(span.span_id, None):
            trace.stored.pop(span.span_id, None)
            self._pinned.discard(span.key)

    def _bucket(self, key: SpanKey) -> _Bucket:
        trace = self._traces[key[0]]
        return key[0][0], trace.services[key[1]], trace.reports[key[1]].totals

    def _answer(self, key: SpanKey) -> _Answer:
        trace = self._traces[key[0]]
        return key[0][0], trace.services[key[1]], trace.reports[key[1]].proving_id

    def _leave(self, key: SpanKey) -> _Bucket:
        """Take a call out of its bucket, which is to be decided again."""
        bucket = self._bucket(key)
        self._calls[bucket].pop(key, None)
        self._part(key)
        return bucket

    def _leave_answer(self, key: SpanKey) -> set[_Answer]:
        """Take a report out of the calls with its response id, if it is one; these are to be decided again."""
        answer = self._answer(key)
        calls = self._answers.get(answer, {})
        if key not in calls:
            return set()
        del calls[key]
        self._answered.pop(key, None)
        if not calls:
            del self._answers[answer]
        return {answer}

    def _part(self, key: SpanKey) -> None:
        for own, others in ((self._doubles, self._doubled), (self._doubled, self._doubles)):
            if key in own:
                del others[own.pop(key)]

    def _decide(self, touched: set[TraceKey], left: "_Left") -> set[SpanKey]:
        """Bring up to date who is billed; the spans for which that may have changed."""
        affected: set[SpanKey] = set()
        for key in touched:
            trace = self._traces[key]
            trace.billable = billable_reports(trace.reports, trace.parents)
            for span_id, report in trace.reports.items():
                affected.add((key, span_id))
                answer = self._answer((key, span_id))
                if span_id in trace.billable and report.is_call and report.proving_id:
                    self._answers[answer][key, span_id] = report
                    left.answers.add(answer)
                else:
                    left.answers |= self._leave_answer((key, span_id))
        moved = set(affected)
        for answer in left.answers:
            calls = self._answers.get(answer, {})
            if len(calls) <= MAX_ANSWERS:
                affected |= calls.keys()
            moved |= self._decide_answer(answer)
        affected |= moved
        for bucket in left.buckets | {self._place(key) for key in moved}:
            affected |= self._decide_bucket(bucket)
        return affected

    def _place(self, key: SpanKey) -> _Bucket:
        """Put a report into its bucket if it is a call that may be the double of one with equal totals, or out."""
        trace = self._traces[key[0]]
        report = trace.reports[key[1]]
        if key[1] in trace.billable and report.is_call and any(report.totals) and key not in self._answered:
            self._calls[self._bucket(key)][key] = report
            return self._bucket(key)
        return self._leave(key)

    def _decide_answer(self, answer: _Answer) -> set[SpanKey]:
        """Find the doubles among the calls with one response id; those that became one or no longer are."""
        calls = self._answers.get(answer, {})
        before = {key for key in calls if self._answered.pop(key, None)}
        for group in foreign_answers(calls):
            self._decide_group(sorted(group))
        return {key for key in calls if (key in before) != (key in self._answered)}

    def _decide_group(self, group: list[SpanKey]) -> None:
        """Of reports of one call the best stands; as long as none of the billed ones is in memory, the best pinned one.

        Deciding the same group twice has to give the same: a batch whose insert failed is absorbed again.
        """
        pinned = [key for key in group if key in self._pinned]
        if any(self._stored(key) for key in group if key not in self._pinned):
            self._pinned.difference_update(pinned)
            pinned = []
        stands = min(pinned or group, key=lambda key: (*rank_across(self._traces[key[0]].reports[key[1]]), key))
        self._answered |= {key: stands for key in group if key != stands}

    def _decide_bucket(self, bucket: _Bucket) -> set[SpanKey]:
        calls = self._calls[bucket]
        for key in calls:
            self._part(key)
        doubles = foreign_doubles(calls)
        self._doubles |= doubles
        self._doubled |= {call: double for double, call in doubles.items()}
        for pair in doubles.items():
            if not self._pinned.issuperset(pair):  # else the call that both are doubles of is not in memory
                self._pinned.difference_update(pair)
        if not calls:
            del self._calls[bucket]
        return set(calls)

    def _is_billed(self, key: SpanKey) -> bool:
        trace = self._traces.get(key[0])
        if trace is None or key[1] not in trace.billable:
            return False
        return key not in self._answered and key not in self._doubles and key not in self._pinned

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
        for answer in self._leave_answer(key):
            others = self._answers.get(answer, {})
            for other in [other for other in others if self._answered.get(other) == key]:
                del self._answered[other]
                self._pinned.add(other)
        bucket = self._leave(key)
        self._pinned.discard(key)
        if not self._calls[bucket]:
            del self._calls[bucket]


@dataclass(slots=True)
class _Left:
    """Where reports that changed were before."""

    answers: set[_Answer] = field(default_factory=set)
    buckets: set[_Bucket] = field(default_factory=set)


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
    version: int,
    reports: bool,
    is_call: bool,
    root: bool,
    input_tokens: int,
    output_tokens: int,
    detail: int,
    request_model: int,
    response_model: int,
    provider: int,
    billed: bool | None,
) -> SeenSpan:
    report = None
    if reports:
        models = Models(request_model, response_model)
        report = Report(
            span_id,
            is_call,
            input_tokens,
            output_tokens,
            detail,
            response_id,
            scope,
            start,
            end,
            root,
            models,
            provider,
        )
    return SeenSpan((project, trace_id), span_id, parent_id, service, report, billed, start, version)
