"""Kept sums of runs: those that inserts have touched, summed again from their spans.

An insert leaves the runs it touched as a batch, by a materialized view, whoever inserts. A batch is summed once it has
been seen for a while: a batch may show before the spans it is about. Readers take runs of batches that are not summed
from their spans, so that nothing is missing meanwhile.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.store.client import Store
from collector.store.sql import named_query

_MAX_BATCHES = 1000
# Planning the statement costs as much as the sums of 2,000 runs.
_MAX_RUNS = 20_000
# A batch is forgotten this long after its insert, in nanoseconds: no insert takes longer to show all of its rows.
_FORGOTTEN = 600 * 10**9


@dataclass(frozen=True, slots=True)
class Batch:
    """The inserts of one time. `stamp` is that time, Unix nanoseconds, and `runs` is how many runs they touched."""

    stamp: int
    runs: int


def unsummed(store: Store) -> Sequence[Batch]:
    """The latest batches that are not summed, latest first: at most a thousand. Raises Unavailable."""
    rows = store.query(named_query("unsummed_batches"), {"limit": _MAX_BATCHES}).to_pylist()
    return [Batch(row["Stamp"], row["Runs"]) for row in rows]


def rounds(batches: Iterable[Batch]) -> Iterator[Sequence[Batch]]:
    """Batches together, so that each round is of few runs or of one batch."""
    together: list[Batch] = []
    for batch in batches:
        if together and sum(each.runs for each in together) + batch.runs > _MAX_RUNS:
            yield together
            together = []
        together.append(batch)
    if together:
        yield together


def parts_of(batches: Sequence[Batch]) -> Sequence[Mapping[str, object]]:
    """What to sum one after the other: of few runs in each part."""
    parts = -(-sum(batch.runs for batch in batches) // _MAX_RUNS)
    stamps = [batch.stamp for batch in batches]
    return [{"batches": stamps, "parts": parts, "part": part} for part in range(parts)]


def sum_part(store: Store, part: Mapping[str, object]) -> None:
    """Sum the runs of one of `parts_of`. Again, it changes nothing. Raises Unavailable or Rejected."""
    store.command(named_query("sum_runs"), part)


def mark_summed(store: Store, batches: Sequence[Batch]) -> None:
    """All parts of these batches are summed: readers take their runs from the kept sums from now on."""
    store.command(named_query("mark_summed"), {"batches": [batch.stamp for batch in batches]})


def forget_summed(store: Store, now: int) -> None:
    """Drop what is known of batches that were summed long before `now`."""
    for row in store.query(named_query("summed_partitions"), {"before": now - _FORGOTTEN}).to_pylist():
        for table in ("runs_touched", "runs_summed"):  # in this order: without their runs, batches mean nothing
            store.command(f"ALTER TABLE {table} DROP PARTITION {{ten:String}}", {"ten": row["Ten"]})


def sum_all(store: Store) -> None:
    """Sum everything that is not summed, at once: for stores that nothing is written to meanwhile."""
    while batches := unsummed(store):
        for together in rounds(batches):
            for part in parts_of(together):
                sum_part(store, part)
            mark_summed(store, together)
