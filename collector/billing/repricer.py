"""Re-pricing inside the daemon: beside the drain, through a connection of its own, and counted in the budgets."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from collector.billing.reprice import Outcome, Selection, apply, compare
from collector.enrich import Enricher
from collector.model.progress import Progress
from collector.spending.feed import Feed, Keys, Writing
from collector.store.client import Store


class Repricer:
    """`writing` is how rows are written such that budgets count them."""

    def __init__(self, store: Callable[[], Store], enricher: Enricher, writing: Writing) -> None:
        self._store = store
        self._enricher = enricher
        self._writing = writing

    def reprice(self, selection: Selection, dry_run: bool, progress: Progress) -> Outcome:
        """Price stored calls again, or only compare. Blocking. Raises Unavailable, and what `progress` raises."""
        store = self._store().clone()
        try:
            if dry_run:
                return compare(store, self._enricher, selection, progress)
            return apply(store, self._enricher, selection, self._counted, progress)
        finally:
            store.close()

    def _counted(self, _: Store, keys: Keys, again: bool) -> AbstractContextManager[Feed]:
        """Budgets read through the daemon's own connection: the one that re-pricing writes through is closed soon."""
        return self._writing(self._store(), keys, again)
