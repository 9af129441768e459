"""Content of a test's store, expired and waited for."""

from collector.enrich.conventions.expiring import content_rules
from collector.schema import schema_root
from collector.store import Store
from collector.store.content_expiry import expire_content
from tests.support import stored
from tests.support.waiting import wait_until

RULES = content_rules(stored.ENRICHER.families, schema_root())
LATER = 1_900_000_000_000_000_000  # captured payloads count as received before


def expire(store: Store, cutoff: int = LATER) -> None:
    """Expire until there is nothing left to, and wait for it."""
    while expire_content(store, RULES, cutoff, cutoff):
        wait_until_expired(store)


def wait_until_expired(store: Store) -> None:
    undone = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
    wait_until(lambda: store.command(undone) == 0, 60, "expiry")
