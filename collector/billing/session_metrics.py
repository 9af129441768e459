"""Metrics of coding agents are never billed: they are compared with what is, and a difference is told.

Signals of the same calls come some seconds or a minute apart. Where metrics count more tokens than were billed two
minutes after their points, records or spans of calls did not arrive. Fewer are no sign: the next points have the rest.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog
from numpy.typing import NDArray

from collector.enrich.conventions.families import Family
from collector.model.columns import TEXT
from collector.model.keys import MAX_KEYS_IN_QUERY
from collector.slices import slices
from collector.store.client import Store
from collector.store.sql import named_query
from collector.telemetry import Metrics

SessionKey = tuple[str, str]  # project, session

log = structlog.get_logger("spanmeter.sessions")

_SESSION: Final = "session.id"
# Calls of a session are looked for so long before and after the points that arrive.
_AROUND_NS: Final = 7 * 86_400 * 1_000_000_000
_GRACE_NS: Final = 120 * 1_000_000_000
_MAX_REMEMBERED: Final = 10_000


class _Noted(NamedTuple):
    """When points of a session were received, and the times of these points; Unix nanoseconds."""

    received: int
    first: int
    last: int


class SessionMetrics:
    """Compares a session once points of it have waited for the logs, at the next points of any.

    Belongs to the drain's thread.
    """

    def __init__(self, families: Iterable[Family], metrics: Metrics) -> None:
        rules = [family.events for family in families if family.events and family.events.token_metric]
        self._names = sorted({each.token_metric for each in rules})
        self._types = sorted({kind for each in rules for kind in each.token_types})
        self._metrics = metrics
        # Sessions that were told of: each once.
        self._told: OrderedDict[SessionKey, None] = OrderedDict()
        self._noted: OrderedDict[SessionKey, _Noted] = OrderedDict()

    def follow(self, store: Store, batches: Sequence[pa.RecordBatch]) -> None:
        """These points of sums are stored. Raises Unavailable."""
        wanted = pa.array(self._names, TEXT)
        for batch in batches:
            chosen = np.flatnonzero(pc.is_in(batch.column("MetricName"), wanted))
            if len(chosen):
                self._note(batch, chosen)
            now = pc.max(batch.column("ReceivedAt").cast(pa.int64())).as_py() or 0
            due = [key for key, noted in self._noted.items() if noted.received <= now - _GRACE_NS]
            for part in slices(due, MAX_KEYS_IN_QUERY):
                self._compare(store, part)

    def _note(self, batch: pa.RecordBatch, points: NDArray[np.int64]) -> None:
        times, received = (
            np.asarray(batch.column(name).cast(pa.int64()))[points] for name in ("TimeUnix", "ReceivedAt")
        )
        noted = _Noted(int(received.max()), int(times.min()), int(times.max()))
        for key in _sessions(_one_of_each_series(batch, points)) - self._told.keys():
            self._noted.setdefault(key, noted)
        while len(self._noted) > _MAX_REMEMBERED:
            self._noted.popitem(last=False)

    def _compare(self, store: Store, sessions: Sequence[SessionKey]) -> None:
        noted = [self._noted[key] for key in sessions]
        parameters = {
            "projects": sorted({project for project, _ in sessions}),
            "sessions": sorted({session for _, session in sessions}),
            "points_until": max(each.last for each in noted),
            "names": self._names,
            "types": self._types,
            "since": max(min(each.first for each in noted) - _AROUND_NS, 0),
            "until": max(each.last for each in noted) + _AROUND_NS,
        }
        for row in store.query(named_query("metered_sessions"), parameters).to_pylist():
            if (row["Project"], row["SessionId"]) in sessions:
                self._tell(**row)
        for key in sessions:
            del self._noted[key]

    def _tell(self, Project: str, SessionId: str, Metered: int, Billed: int) -> None:  # noqa: N803 - columns
        self._told[Project, SessionId] = None
        if len(self._told) > _MAX_REMEMBERED:
            self._told.popitem(last=False)
        self._metrics.undercounted_sessions.inc()
        log.warning(
            "The metrics of a session count more tokens than were billed: logs or spans of some of its calls did not "
            "arrive. Look at the sender's exporters of logs and traces.",
            project=Project,
            session=SessionId[:200],
            tokens_metered=Metered,
            tokens_billed=Billed,
        )


def _one_of_each_series(batch: pa.RecordBatch, points: NDArray[np.int64]) -> pa.RecordBatch:
    """Project and attributes of the series among `points`: all points of a series have the same."""
    series = pa.array(np.asarray(batch.column("Series"))[points]).dictionary_encode().indices
    some = np.empty(len(points), np.int64)  # a point for each number that a series has
    some[np.asarray(series)] = points
    return batch.select(["Project", "Attributes"]).take(pa.array(some[: pc.max(series).as_py() + 1]))


def _sessions(points: pa.RecordBatch) -> set[SessionKey]:
    """The sessions that points name."""
    attributes = points.column("Attributes")
    places = np.flatnonzero(pc.equal(attributes.keys, _SESSION))
    rows = np.searchsorted(attributes.offsets.to_numpy(), places, "right") - 1
    named = pa.table({"project": points.column("Project").take(rows), "session": attributes.items.take(places)})
    found = named.group_by(named.column_names, use_threads=False).aggregate([])
    columns = (found.column(name).to_pylist() for name in named.column_names)
    return {(project, session) for project, session in zip(*columns, strict=True) if session}
