"""Verdicts on their way out, on disk from before they are stored until their receiver has taken them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import structlog

from collector.errors import Unavailable
from collector.model.clock import Clock
from collector.model.evaluation_rows import packed, unpacked
from collector.model.evaluations import EvalKind, Evaluation
from collector.sqlite import Database, Kind, Row, Value

log = structlog.get_logger("spanmeter.evals")

KIND: Final = Kind("verdicts", "outbox of verdicts", "Verdicts that have not gone out do not go out then.")
FILE: Final = "verdicts.db"  # in the data directory
MAX_BYTES: Final = 256 * 2**20
AT_ONCE: Final = 200  # verdicts in a request
_BYTES_AT_ONCE: Final = 2**20
# An insert whose end nobody heard of is over by then: the store says what came of it.
_DOUBTED_NS: Final = 900 * 10**9
# Those of other tools have arrived here by the same way.
_OURS: Final = frozenset({EvalKind.CHECK, EvalKind.JUDGE, EvalKind.HUMAN})


class Waiting(NamedTuple):
    """Verdicts that wait: `rows`, or where a `batch` is named, those that the store has of it after `after`.

    `stored` says whether the store is known to have taken them.
    """

    number: int
    stored: bool
    rows: Sequence[Evaluation]
    project: str
    evaluator: str
    batch: str
    after: str


class Sums(NamedTuple):
    """What waits: `entries` with `verdicts` of known number, since `oldest` (Unix nanoseconds; 0 without any)."""

    entries: int
    verdicts: int
    bytes: int
    oldest: int


class VerdictOutbox:
    """For any thread; several processes may have it open. Nothing is remembered until `send_from` says for whom."""

    def __init__(self, path: Path, clock: Clock, wake: Callable[[], None] = lambda: None) -> None:
        """`wake` is called when there is something to send. Raises StartError."""
        self._database = Database(path, KIND)
        self._clock = clock
        self._wake = wake
        self._on = False
        self._projects: Collection[str] = ()

    def send_from(self, projects: Collection[str], *, on: bool) -> None:
        """From now on verdicts of these projects go out, of all without any. Not `on`: what waits goes on waiting."""
        self._projects = projects
        self._on = on

    @contextmanager
    def adding(self, found: Sequence[Evaluation]) -> Iterator[None]:
        """As Outgoing has it: of each verdict the whole, as receivers would count votes as verdicts of their own."""
        outgoing = [one for one in found if self._goes_out(one.project) and one.vote == 0 and one.kind in _OURS]
        if not outgoing:
            yield
            return
        parts = [outgoing[at : at + AT_ONCE] for at in range(0, len(outgoing), AT_ONCE)]
        with self._remembered("add_rows", [(len(part), len(rows := packed(part)), rows) for part in parts]):
            yield

    @contextmanager
    def adding_batch(self, project: str, evaluator: str, batch: str) -> Iterator[None]:
        """As Outgoing has it."""
        if not self._goes_out(project):
            yield
            return
        with self._remembered("add_batch", [(project, evaluator, batch)]):
            yield

    def waiting(self) -> list[Waiting]:
        """The oldest of what can be sent, for about one request. Raises Unavailable."""
        return self._database.read(_waiting, "waiting", (self._clock.time_ns() - _DOUBTED_NS, _BYTES_AT_ONCE, AT_ONCE))

    def forget(self, numbers: Sequence[int]) -> None:
        """They are taken, or will never be. Raises Unavailable."""
        with self._database.transaction() as transaction:
            transaction.run_each("forget", [(number,) for number in numbers])

    def go_on(self, number: int, after: str) -> None:
        """Of a batch the rows until `after` are taken. Raises Unavailable."""
        with self._database.transaction() as transaction:
            transaction.run("go_on", (after, number))

    def sums(self) -> Sums:
        """Raises Unavailable."""
        (found,) = self._database.read(lambda row: Sums(*row), "sums")
        return found

    def make_room(self, most: int = MAX_BYTES) -> int:
        """Forget the oldest while they take more than `most` bytes; the number of verdicts. Raises Unavailable."""
        dropped, left = 0, self.sums().bytes
        while left > most:
            with self._database.transaction() as transaction:
                ((number, verdicts, size),) = transaction.rows("oldest")
                transaction.run("forget", (number,))
            dropped, left = dropped + verdicts, left - size
        return dropped

    def close(self) -> None:
        self._database.close()

    def _goes_out(self, project: str) -> bool:
        return self._on and (not self._projects or project in self._projects)

    @contextmanager
    def _remembered(self, statement: str, entries: Sequence[tuple[Value, ...]]) -> Iterator[None]:
        now, numbers = self._clock.time_ns(), []
        with self._database.transaction() as transaction:
            for entry in entries:
                numbers += [row["number"] for row in transaction.rows(statement, (now, *entry))]
        yield
        try:
            with self._database.transaction() as transaction:
                transaction.run_each("stored", [(number,) for number in numbers])
        except Unavailable as error:  # they are stored all the same, and go out once that is looked up
            log.warning("Verdicts go out later.", why=str(error))
        self._wake()


def _waiting(row: Row) -> Waiting:
    return Waiting(
        row["number"],
        bool(row["stored"]),
        unpacked(row["rows"]),
        row["project"],
        row["evaluator"],
        row["batch"],
        row["after"],
    )
