"""Evaluations of ours into the store, and to whoever else they go."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from collector.model.evaluation_rows import TABLE, rows_of
from collector.model.evaluations import Evaluation, digest_of
from collector.store.client import Store
from collector.store.tables import EVALUATIONS


class Outgoing(Protocol):
    """Who else is told. What an insert adds goes out if it succeeds, however it ends and the process with it."""

    def adding(self, found: Sequence[Evaluation]) -> AbstractContextManager[None]:
        """The context of an insert of rows. Raises Unavailable before it when they cannot be remembered."""
        ...

    def adding_batch(self, project: str, evaluator: str, batch: str) -> AbstractContextManager[None]:
        """The context of a statement that adds the rows of an evaluator in a batch. Raises as `adding`."""
        ...


class EvaluationWriter:
    """Adds what was found here. For any thread."""

    def __init__(self, outgoing: Outgoing | None = None) -> None:
        self._outgoing = outgoing

    def add(self, store: Store, found: Sequence[Evaluation]) -> None:
        """Add rows; again, it adds none. Raises Unavailable."""
        if found:
            token = digest_of("\n".join(f"{one.id} {one.at}" for one in found).encode())
            with self._outgoing.adding(found) if self._outgoing else nullcontext():
                store.insert(TABLE, [rows_of(found)], f"{EVALUATIONS.token_prefix}{token}")

    @contextmanager
    def adding_batch(self, project: str, evaluator: str, batch: str) -> Iterator[None]:
        """The context of a statement that adds all rows of an evaluator in a batch. Raises Unavailable."""
        with self._outgoing.adding_batch(project, evaluator, batch) if self._outgoing else nullcontext():
            yield
