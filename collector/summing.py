"""Sums of runs made again after inserts, beside them: no insert waits for it, and it takes little of one core.

What it has not come to yet, readers make from spans.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from collector.errors import SpanmeterError, Unavailable
from collector.model.clock import Clock
from collector.part import Part
from collector.store.client import Store
from collector.store.run_sums import Batch, forget_summed, mark_summed, parts_of, rounds, sum_part, unsummed
from collector.telemetry import Sample, catalogue
from collector.waiting import wait_for

log = structlog.get_logger("spanmeter.summing")

# Of the time of one core, as one thread sums; more of it while so many runs wait that the first reader would notice,
# and most while somebody reads: every question makes these sums for itself until they are kept.
_SHARE, _SHARE_BEHIND, _SHARE_WANTED, _MANY_RUNS = 0.02, 0.1, 0.3, 5_000
# A step takes longer where others use the cores, and what arrives meanwhile is not seen before the next one.
_IDLE_SECONDS, _FAILED_SECONDS, _MAX_SECONDS = 2.0, 5.0, 10.0
_WANTED_SECONDS = 30.0
# A batch may show before the spans of its insert do.
_SETTLED_SECONDS = 1.0
_FORGET_EVERY = 300.0


class Summing(Part):
    """Keeps the sums of runs."""

    name = "summing"

    def __init__(self, store: Callable[[], Store], clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._stopping = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="summing")
        # Whoever holds it finds no runs marked as summed whose sums are not stored before.
        self.between_steps = threading.Lock()
        self._connection: Store | None = None
        self._batches: Sequence[Batch] = ()
        self._parts: deque[Mapping[str, object]] = deque()
        self._seen: dict[int, float] = {}  # batches by their stamps: when they were first seen; monotonic
        self._waiting = 0
        self._forgot = clock.monotonic()
        self._wanted_at = -_WANTED_SECONDS
        self._took = 0.0  # seconds of the last step
        self._failed = False

    def want(self) -> None:
        """Somebody reads runs whose sums are not kept: make these sooner for a while. From any thread."""
        self._wanted_at = self._clock.monotonic()

    async def run(self) -> None:
        """Sum what is touched until `stop`. What fails is tried again."""
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            await loop.run_in_executor(self._thread, self.step)
            ended = self._clock.monotonic()
            while (left := ended + self._pause() - self._clock.monotonic()) > 0 and not self._stopping.is_set():
                await wait_for(self._stopping, min(left, _IDLE_SECONDS))  # then it may be wanted sooner

    async def stop(self, grace: float) -> None:  # noqa: ARG002 - a step is shorter than any grace
        """What is not summed is left to the next start."""
        self._stopping.set()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    def readings(self) -> Iterable[Sample]:
        yield Sample(catalogue.UNSUMMED_RUNS, self._waiting)

    def step(self) -> float:
        """Sum some runs; the seconds to wait before the next step, as things are."""
        begun = self._clock.monotonic()
        self._failed = True
        try:
            with self.between_steps:
                self._step()
            self._failed = False
        except Unavailable:
            self._disconnect()
        except SpanmeterError as error:
            log.warning("Runs could not be summed; lists of runs take longer until they are.", why=str(error))
            self._disconnect()
        self._took = self._clock.monotonic() - begun
        return self._pause()

    def _pause(self) -> float:
        if self._failed:
            return _FAILED_SECONDS
        if not self._batches:
            return _IDLE_SECONDS
        share = _SHARE_BEHIND if self._waiting > _MANY_RUNS else _SHARE
        if self._clock.monotonic() - self._wanted_at < _WANTED_SECONDS:
            share = _SHARE_WANTED
        pause = min(_MAX_SECONDS, self._took * (1 / share - 1))
        return pause if self._parts else max(_IDLE_SECONDS, pause)

    def _step(self) -> None:
        store = self._connected()
        if not self._parts:
            self._forget(store)
            self._batches = self._settled(store)
            self._parts.extend(parts_of(self._batches))
        if not self._batches:
            return
        sum_part(store, self._parts[0])
        self._parts.popleft()
        if not self._parts:
            mark_summed(store, self._batches)

    def _settled(self, store: Store) -> Sequence[Batch]:
        """The batches to sum next, the latest first, of those that have been seen for long enough."""
        now = self._clock.monotonic()
        batches = unsummed(store)
        self._waiting = sum(batch.runs for batch in batches)
        self._seen = {batch.stamp: self._seen.get(batch.stamp, now) for batch in batches}
        return next(rounds(batch for batch in batches if now - self._seen[batch.stamp] >= _SETTLED_SECONDS), ())

    def _forget(self, store: Store) -> None:
        if self._clock.monotonic() - self._forgot >= _FORGET_EVERY:
            forget_summed(store, self._clock.time_ns())
            self._forgot = self._clock.monotonic()

    def _connected(self) -> Store:
        if self._connection is None:
            self._connection = self._store().clone()
        return self._connection

    def _disconnect(self) -> None:
        self._batches, self._parts = (), deque()
        if self._connection:
            self._connection.close()
            self._connection = None
