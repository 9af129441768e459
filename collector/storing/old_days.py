"""Days that lie further back than `store.max_age` and have a partition nevertheless: a few, so that samples and
captured traces keep their dates, and a sender cannot make thousands.
"""

from collections.abc import Collection, Iterable

from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.tables import Table

_MAX_PARTITIONS = 32


class OldDays:
    """Of one store. Days are numbered from 1970-01-01.

    Those that have a partition keep it, and the first others get one while there are fewer than `limit` so old. The
    answers for the days of a segment are the same again after a crash, when some of its rows are stored already.
    """

    def __init__(self, store: Store, limit: int = _MAX_PARTITIONS) -> None:
        self._store = store
        self._limit = limit
        self._kept: dict[str, set[int]] = {}

    def kept(self, table: Table, days: Iterable[int], before: int) -> Collection[int]:
        """Those of `days` that may have a partition; all days `before` that one are old. Raises Unavailable."""
        wanted = sorted(set(days))
        kept = self._kept.get(table.name)
        if kept is None:
            kept = self._kept[table.name] = self._partitions(table, before)
        for day in wanted:
            if len(kept) < self._limit:
                kept.add(day)
        return kept.intersection(wanted)

    def _partitions(self, table: Table, before: int) -> set[int]:
        parameters = {"database": self._store.database, "table": table.name}
        found = self._store.query(named_query("partitions"), parameters).column("Day").to_pylist()
        return {day for day in found if 0 < day < before}
