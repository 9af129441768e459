"""The rows of a run's waterfall: its spans in the order they are shown, and what is marked among them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from operator import add
from typing import TypeVar

import pyarrow as pa

from collector.model.capture import strictest_word
from collector.model.facts import Kind
from collector.runs import columns
from collector.runs.calls import calls
from collector.runs.costs import added, total
from collector.runs.critical_path import critical_path
from collector.runs.span import Span
from collector.runs.stored import read_spans
from collector.runs.tree import Tree

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """A span at its place: `parent` is the position of its parent's row, -1 for a root."""

    span: Span
    parent: int
    depth: int


@dataclass(frozen=True)
class Waterfall:
    """All spans of one run without their content. Rows stand parents before children, children in order of time;
    those whose parent has not come, and what is within them, are the last.

    `messages` are the status messages of spans that failed, cut to 200 characters; `unpriced` are the ids of calls
    without a price; `received` is when the last span came, in Unix nanoseconds.
    """

    rows: Sequence[Row]
    tree: Tree
    messages: Mapping[str, str]
    unpriced: frozenset[str]
    received: int
    services: Sequence[str]
    features: Sequence[str]
    users: Sequence[str]
    conversations: Sequence[str]
    content_expired: bool
    capture_policy: str

    @cached_property
    def start(self) -> int:
        return min(row.span.start for row in self.rows)

    @cached_property
    def end(self) -> int:
        return max(row.span.end for row in self.rows)

    @cached_property
    def root(self) -> Span:
        """The span that names the run: of those that came without a parent of their own, the first."""
        return min((row.span for row in self.rows), key=lambda span: (bool(span.parent_id), span.start, span.span_id))

    @property
    def complete(self) -> bool:
        """Whether a root has come, and the parent of every other span."""
        return not self.root.parent_id and not self.orphans

    @cached_property
    def orphans(self) -> Sequence[int]:
        """Positions of rows whose parent has not come."""
        return [at for at, row in enumerate(self.rows) if row.parent < 0 and row.span.parent_id]

    @cached_property
    def positions(self) -> Mapping[str, int]:
        """Where each span's row is."""
        return {row.span.span_id: at for at, row in enumerate(self.rows)}

    @cached_property
    def rounds(self) -> Sequence[int]:
        """The row of each round's model call, in order of rounds: the report whose usage and cost count."""
        found = calls([row.span for row in self.rows], self.tree)
        return [self.positions[call.span.span_id] for call in found]

    @cached_property
    def critical_path(self) -> Sequence[int]:
        """Positions of the rows on it, in order."""
        return sorted(self.positions[span_id] for span_id in critical_path(self.tree))

    @cached_property
    def errors(self) -> Sequence[int]:
        return [at for at, row in enumerate(self.rows) if row.span.error]

    @property
    def cost(self) -> Decimal | None:
        """USD of every span that is priced; None when none is."""
        return total(row.span.cost for row in self.rows)

    @cached_property
    def ends_below(self) -> Sequence[int]:
        """Of each row when the last span within it ended, itself included."""
        return self._gathered([row.span.end for row in self.rows], max)

    @cached_property
    def tokens_below(self) -> Sequence[int]:
        """Of each row the input tokens of the spans within it, its own included, each call once."""
        return self._gathered([0 if row.span.rolled_up else row.span.input_tokens for row in self.rows], add)

    @cached_property
    def costs_below(self) -> Sequence[Decimal | None]:
        """Of each row the cost of the spans within it, its own included; None when none is priced."""
        return self._gathered([row.span.cost for row in self.rows], added)

    def _gathered(self, values: list[T], join: Callable[[T, T], T]) -> list[T]:
        """Of each row its value joined with those of all rows within it."""
        for at in range(len(self.rows) - 1, -1, -1):
            above = self.rows[at].parent
            if above >= 0:
                values[above] = join(values[above], values[at])
        return values

    def counted(self, name: str) -> int:
        """The sum of a count over the spans that do not repeat the usage of others."""
        return sum(int(getattr(row.span, name)) for row in self.rows if not row.span.rolled_up)

    def of_kind(self, kind: Kind) -> Sequence[int]:
        """Positions of the rows of a kind."""
        return [at for at, row in enumerate(self.rows) if row.span.kind == kind]

    @property
    def models(self) -> Sequence[str]:
        """The models that answered, else those asked, of spans that report a call."""
        named = (row.span for row in self.rows if row.span.kind == Kind.LLM and not row.span.rolled_up)
        return sorted({span.response_model or span.request_model for span in named} - {""})


def waterfall(table: pa.Table) -> Waterfall:
    """The waterfall of a run. `table` has the columns of `schema/queries/run_waterfall.sql`, and rows."""
    tree = Tree(read_spans(table))
    at: dict[str, int] = {}
    rows: list[Row] = []
    for depth, span in tree.walk(sorted(tree.roots, key=lambda span: bool(span.parent_id))):
        above = tree.parent(span.span_id)
        at[span.span_id] = len(rows)
        rows.append(Row(span, at[above.span_id] if above else -1, depth))
    ids = columns.distinct_texts(table.column("SpanId"))
    return Waterfall(
        rows=rows,
        tree=tree,
        messages=_messages(table, ids),
        unpriced=frozenset(
            span_id for span_id, one in zip(ids, table.column("UnpricedCall").to_pylist(), strict=True) if one
        ),
        received=max(columns.counts(table.column("ReceivedAt"))),
        services=_values(table, "ServiceName"),
        features=_values(table, "Feature"),
        users=_values(table, "UserId"),
        conversations=_values(table, "ConversationId"),
        content_expired=any(table.column("ContentExpired").to_pylist()),
        capture_policy=strictest_word(table.column("CapturePolicy").unique().to_pylist()),
    )


def _messages(table: pa.Table, ids: Sequence[str]) -> dict[str, str]:
    failed, texts = columns.texts(table.column("StatusCode")), columns.texts(table.column("StatusMessage"))
    return {ids[at]: texts[at] for at in range(len(ids)) if failed[at] == "Error"}


def _values(table: pa.Table, name: str) -> Sequence[str]:
    return sorted(set(columns.texts(table.column(name))) - {""})
