"""What a question of people and programs may take of the store: every read of `Query` goes through here."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import pyarrow as pa

from collector.config import ReadsConfig
from collector.errors import Reason, Rejected, Unavailable
from collector.store.client import Limits, Store
from collector.store.errors import Refused

# ClickHouse's codes, and the setting that each is about.
_EXCEEDED: Final = {
    158: ("max_result_rows", "has too many rows"),
    159: ("max_execution_time", "takes too long"),
    241: ("max_memory_usage", "needs too much memory"),
    396: ("max_result_rows", "has too many rows"),
}


class Reader:
    """A store for questions within limits. Blocking; raises Unavailable when the store does not answer.

    The embedded engine has the cores that ingest needs too: there, few questions run at once, and others wait.
    """

    def __init__(
        self, store: Callable[[], Store], config: ReadsConfig, on_unsummed: Callable[[], None] = lambda: None
    ) -> None:
        """`on_unsummed` is called when a question meets runs whose sums are not kept yet."""
        self._store = store
        self.on_unsummed = on_unsummed
        self._max_wait = config.max_execution_time
        self._turns = threading.BoundedSemaphore(config.concurrent)
        self._threads: Limits = (("max_threads", config.threads),)
        self._limits: Limits = (
            ("max_execution_time", max(1, round(config.max_execution_time))),
            ("max_memory_usage", int(config.max_memory_usage)),
            ("max_result_rows", config.max_result_rows),
        )

    def query(self, statement: str, parameters: Mapping[str, Any]) -> pa.Table:
        """As `Store.query`. Raises Rejected(TOO_LARGE) for a question that takes more than it may, Unavailable for one
        that waits longer for its turn than one may run.
        """
        store = self._store()
        try:
            if not store.embedded:
                return store.query(statement, parameters, self._limits)
            with self._turn():
                return store.query(statement, parameters, self._limits + self._threads)
        except Refused as error:
            if error.code not in _EXCEEDED:
                raise
            setting, words = _EXCEEDED[error.code]
            raise Rejected(
                Reason.TOO_LARGE,
                f"The answer {words}: ask for a shorter time or for less of it, or raise reads.{setting}.",
            ) from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._max_wait):
            raise Unavailable(Reason.STORE, "Too many questions run already; ask again in a moment.")
        try:
            yield
        finally:
            self._turns.release()
