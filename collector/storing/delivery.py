"""A segment stored: every row of it inserted, whatever it takes, and what can never be stored set aside."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.clock import Clock
from collector.model.columns import START_ATTRIBUTE
from collector.model.envelope import Signal
from collector.spool import DeadLetter, Segment
from collector.store.client import Store
from collector.storing.attempts import Attempts
from collector.storing.decoding import decoded
from collector.storing.fatal import FatalRequests
from collector.storing.inserting import Inserter
from collector.storing.old_days import OldDays
from collector.storing.paths import SignalPath
from collector.storing.poison import Poison
from collector.storing.times import Moved
from collector.telemetry import Metrics

log = structlog.get_logger("spanmeter.drain")

# How long a process has to be up before it tries what it may have ended at: whoever kills processes from outside, one
# after the other while each is young, must not make it look guilty.
CALM_SECONDS = 10


class Postponed(Unavailable):
    """All of a segment is stored but requests that may have ended an earlier process."""

    def __init__(self, requests: int, retry_after: float) -> None:
        message = f"{requests} requests may have ended an earlier process, and are tried again in {retry_after:.1f} s."
        super().__init__(Reason.FATAL, message, retry_after)


class Delivery:
    """Stores one segment at a time. Belongs to the drain's thread, but for `abandon`."""

    def __init__(
        self,
        deadletter: DeadLetter,
        store: Callable[[], Store],
        paths: Mapping[Signal, SignalPath],
        clock: Clock,
        metrics: Metrics,
        begun: Iterable[str],
    ) -> None:
        """`begun`: ids of the segments of which the store may have rows. Envelopes without a path are set aside."""
        self._store = store
        self._paths = paths
        self._clock = clock
        self._metrics = metrics
        self._poison = Poison(deadletter, metrics)
        self._fatal = FatalRequests(self._poison)
        self._begun = set(begun)
        self._calm_at = clock.monotonic() + CALM_SECONDS
        self._attempts: Attempts | None = None
        self._split_inserts: set[str] = set()
        self._starved: Counter[str] = Counter()

    def deliver(self, segment: Segment, last: bool = False) -> None:
        """Store every row of a segment and set the rest aside.

        Raises Unavailable when it has to be tried again, Postponed when that can wait and it is not the `last` chance.
        """
        store = self._store()  # before any work: raises while there is no store
        self._split_inserts |= segment.split_inserts()
        attempts = self._attempts = Attempts(segment)
        parts = list(attempts.parts())
        calm_in = 0 if last else self._calm_at - self._clock.monotonic()
        dangerous = attempts.suspected if calm_in > 0 else attempts.exhausted
        failure = self._deliver_parts(store, segment, attempts, [part for part in parts if not dangerous(part)])
        left = [part for part in filter(dangerous, parts) if not self._is_set_aside(segment, attempts, part)]
        if left and calm_in > 0:
            raise failure or Postponed(len(left), calm_in)
        if failure := self._deliver_parts(store, segment, attempts, left) or failure:
            raise failure

    def done(self, segment: Segment) -> None:
        """All of the segment is stored."""
        self._split_inserts.clear()
        self._starved.clear()
        self._fatal.done()
        self._begun.discard(segment.id)

    def abandon(self) -> None:
        """The process ends: that is no fault of what it was storing. Any thread may call it."""
        if attempts := self._attempts:
            attempts.excuse()

    def _is_set_aside(self, segment: Segment, attempts: Attempts, part: range) -> bool:
        return attempts.exhausted(part) and self._fatal.is_set_aside(segment, part)

    def _deliver_parts(
        self, store: Store, segment: Segment, attempts: Attempts, parts: list[range]
    ) -> Exception | None:
        """Store parts of a segment, also behind one that fails; the last failure that neither store nor disk has."""
        failure = None
        for part in parts:
            try:
                with attempts.attempt(part):
                    self._deliver_part(store, segment, part)
            except SpanmeterError:
                raise
            except Exception as error:  # noqa: BLE001 - raised once the others are stored; the next attempt takes less at once
                failure = error
            else:
                self._fatal.stored()
        return failure

    def _deliver_part(self, store: Store, segment: Segment, part: range) -> None:
        again = segment.id in self._begun
        inserter = Inserter(self._store, self._split_inserts, self._starved, self._poison, self._clock, self._metrics)
        old_days = OldDays(store)
        for found in decoded(segment, self._paths, self._poison, old_days.kept, part):
            rows = found.path.enrich(store, found.batches)
            self._begun.add(segment.id)
            with rows.inserting(again=again) as insert:
                inserter.insert_by_day(insert, rows, found)
            self._note_moved(segment, found.moved)

    def _note_moved(self, segment: Segment, moved: Moved) -> None:
        if any(moved):
            self._metrics.clamped.inc(sum(moved))
            log.warning(
                "Spans start too far from their arrival: those dated ahead are stored at their arrival, old ones of "
                "too many days on 1970-01-01, each with its own start as an attribute. Look at the senders' clocks, or "
                "change store.max_future and store.max_age.",
                attribute=START_ATTRIBUTE,
                segment=segment.id,
                ahead=moved.ahead,
                old=moved.old,
            )
