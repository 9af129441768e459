"""What judges found, on disk until its spans are durable in the spool and its rows in the store: both, or neither.

Each part may be done again: spans and rows have keys of their own, so that nothing counts twice.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from collector.errors import Rejected
from collector.evals.asking import Judged
from collector.evals.writing import EvaluationWriter
from collector.model.evaluation_rows import packed, unpacked
from collector.model.evaluations import Evaluation
from collector.sqlite import Database, Kind, Row
from collector.store.client import Store

log = structlog.get_logger("spanmeter.evals")

KIND: Final = Kind(
    "judgements",
    "file of judgements",
    "Judgements that were not stored yet are lost then, and their runs are judged again.",
)
FILE: Final = "judgements.db"  # in the data directory
_AT_ONCE: Final = 100

# Makes the spans of judgements durable, by project: blocking; raises Unavailable, or Rejected for a request.
Record = Callable[[str, bytes], object]


class _Kept(NamedTuple):
    number: int
    project: str
    request: bytes
    rows: Sequence[Evaluation]


class Judgements:
    """For any thread. Raises StartError when the file cannot be used."""

    def __init__(self, path: Path, record: Record, writer: EvaluationWriter) -> None:
        self._database = Database(path, KIND)
        self._record = record
        self._writer = writer
        self._delivering = threading.Lock()

    def deliver(self, store: Store, project: str, found: Sequence[Judged]) -> None:
        """Have judgements stored, if not now then by a later call. Raises Unavailable."""
        with self._delivering:
            with self._database.transaction() as transaction:
                for rows, requests in found:
                    first, *others = requests or [b""]
                    transaction.run("keep", (project, first, packed(rows)))
                    transaction.run_each("keep", [(project, other, b"") for other in others])
            self._deliver(store)

    def recover(self, store: Store) -> None:
        """Deliver what an earlier call, or an earlier process, could not. Raises Unavailable."""
        with self._delivering:
            self._deliver(store)

    def close(self) -> None:
        self._database.close()

    def _deliver(self, store: Store) -> None:
        while kept := self._database.read(_kept, "kept", (_AT_ONCE,)):
            for one in kept:
                self._send(one)
            self._writer.add(store, [row for one in kept for row in one.rows])
            with self._database.transaction() as transaction:
                transaction.run_each("forget", [(one.number,) for one in kept])

    def _send(self, one: _Kept) -> None:
        if not one.request:
            return
        try:
            self._record(one.project, one.request)
        except Rejected as error:  # it would be rejected again, and hold up all others
            log.error("The spans of a judgement could not be stored; its row has its receipt.", why=str(error))


def _kept(row: Row) -> _Kept:
    return _Kept(row["number"], row["project"], row["request"], unpacked(row["rows"]))
