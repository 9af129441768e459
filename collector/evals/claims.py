"""What is being judged now."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from collector.evals.choosing import Key


class Claims:
    """What is being judged now, so that a back-fill and what settles do not both pay for it. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[tuple[str, Key]] = set()

    @contextmanager
    def of(self, project: str, keys: Iterable[Key]) -> Iterator[set[Key]]:
        """Those of `keys` that nobody else is at; nobody else gets them in this context."""
        with self._lock:
            mine = {key for key in keys if (project, key) not in self._taken}
            self._taken |= {(project, key) for key in mine}
        try:
            yield mine
        finally:
            with self._lock:
                self._taken -= {(project, key) for key in mine}
