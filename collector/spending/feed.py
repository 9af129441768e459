"""How rows of `otel_traces` are written, so that the ledger of budgets stays equal to what the store would answer.

Whoever writes rows does it through `Writing`: what memory has forgotten of their traces is loaded before the rows
change it, and the rows are counted once the store has them. Rows are state, not sums: counting one twice changes
nothing.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from collector.budgets.span_facts import FactFields, SpanFact, span_facts
from collector.model.keys import TraceKey
from collector.store.client import Store
from collector.store.writer import TableRows, insert_spans


class Feed:
    """Inserts rows and keeps what budgets need of those that the store has confirmed."""

    def __init__(self, fields: FactFields | None, known: Collection[str] = ()) -> None:
        self._fields = fields
        self._known = known
        self.facts: list[SpanFact] = []

    def insert(self, store: Store, rows: TableRows, token: str) -> None:
        """Insert rows of one day exactly once. Raises like `Store.insert`; then none of them is counted."""
        if self._fields is None:
            insert_spans(store, rows, token)
            return
        tapped = _Tapped(rows, self._fields, self._known)
        insert_spans(store, tapped, token)
        self.facts += tapped.facts


class _Tapped:
    """Rows that are read for facts while they pass."""

    def __init__(self, rows: TableRows, fields: FactFields, known: Collection[str]) -> None:
        self._rows = rows
        self._fields = fields
        self._known = known
        self.facts: list[SpanFact] = []

    @property
    def num_rows(self) -> int:
        return self._rows.num_rows

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        self.facts.clear()
        for batch in self._rows.to_batches():
            self.facts += span_facts(batch, self._fields, self._known)
            yield batch


Keys = Callable[[], Iterable[TraceKey]]
# How rows of `otel_traces` are written: within the context, through the feed, with their traces named, and
# whether the store may have some of the rows already.
Writing = Callable[[Store, Keys, bool], AbstractContextManager[Feed]]


@contextmanager
def uncounted(_: Store, __: Keys, ___: bool) -> Iterator[Feed]:
    """Write rows that no budget counts."""
    yield Feed(None)
