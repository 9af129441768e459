"""The outbox as people and metrics see it."""

from dataclasses import dataclass

from collector.sqlite import Database


@dataclass(frozen=True, slots=True)
class Statistics:
    """The state of all deliveries; `oldest` is when the longest-waiting pending one was queued (Unix ns), or 0."""

    pending: int = 0
    held: int = 0
    failed: int = 0
    disabled: int = 0
    oldest: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """A delivery for people: where it stands, and how its last attempt went. `next_at` in Unix ns."""

    event_id: str
    type: str
    budget: str
    endpoint: str
    state: str
    attempts: int
    queued_at: int
    next_at: int
    status: int
    error: str


class Overview:
    """Reads the outbox; changes nothing. Thread-safe; every method blocks on the disk."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self, limit: int) -> list[Summary]:
        """The deliveries queued last, newest first."""
        return [Summary(**row) for row in map(dict, self._database.rows("latest", (limit,)))]

    def statistics(self) -> Statistics:
        """Numbers for metrics."""
        row = self._database.rows("statistics")[0]
        return Statistics(*(int(value or 0) for value in row))
