"""Verdicts that go out as OTLP log records: each once it is stored, again until its receiver has taken it."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import pyarrow as pa
import structlog

from collector.config import Config
from collector.errors import Unavailable
from collector.evals.verdict_outbox import AT_ONCE, FILE, VerdictOutbox, Waiting
from collector.evals.verdict_receiver import Sent, VerdictReceiver
from collector.model.clock import Clock
from collector.model.evaluation_rows import evaluations_of
from collector.model.evaluations import Evaluation
from collector.part import Part
from collector.store.client import Store
from collector.store.sql import named_query
from collector.telemetry import Sample, catalogue
from collector.waiting import notify, wait_for
from collector.webhooks.client import Client
from collector.webhooks.retries import jittered

log = structlog.get_logger("spanmeter.evals")

_LOOK_SECONDS: Final = 15.0  # another process may have left some, and an insert may be in doubt
_FIRST_DELAY: Final = 5.0
_MAX_DELAY: Final = 300.0
_T = TypeVar("_T")
SENT, REJECTED, DROPPED = "sent", "rejected", "dropped"


class _Parcel(NamedTuple):
    """What is sent at once; once it is taken, `done` is forgotten, and of the batch `going_on` the rest follows."""

    found: Sequence[Evaluation]
    done: Sequence[int]
    going_on: tuple[int, str] | None = None


class VerdictExport(Part):
    """Sends what the outbox holds, while `evals.export` names an endpoint."""

    name = "verdicts"
    settings = ("evals.export",)
    reloadable = settings

    def __init__(
        self,
        config: Config,
        store: Callable[[], Store],
        clock: Clock,
        client: Client | None = None,
        first_delay: float = _FIRST_DELAY,
    ) -> None:
        """`first_delay` (seconds) passes after a first failure. Raises ConfigError, StartError."""
        self._store = store
        self._clock = clock
        self._client = client or Client()
        self._first_delay = first_delay
        self._awake, self._changed = asyncio.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="verdicts")
        self._stopping = False
        self._failures = 0
        self._counts = dict.fromkeys((SENT, REJECTED, DROPPED), 0)
        self._receiver = self._receiver_of(config)
        self.outbox = VerdictOutbox(config.directory / FILE, clock, self._wake)
        self._use(config)
        self._sums = self.outbox.sums()

    def _receiver_of(self, config: Config) -> VerdictReceiver | None:
        export = config.evals.export
        return VerdictReceiver(export, self._client, self._clock) if export.url else None

    def _use(self, config: Config) -> None:
        export = config.evals.export
        self.outbox.send_from(export.projects, on=bool(export.url))

    def _wake(self) -> None:
        if self._loop:
            notify(self._loop, self._awake)

    async def run(self) -> None:
        """Send until `stop`."""
        self._loop = asyncio.get_running_loop()
        while not self._stopping:
            self._awake.clear()
            self._changed.clear()
            try:
                seconds = await self._step()
            except Unavailable as error:
                log.warning("Verdicts do not go out; it is tried again.", why=str(error))
                seconds = self._delay(None)
            except Exception:  # a defect of ours: it must not end the daemon
                log.exception("Verdicts could not be sent; it is tried again.")
                seconds = self._delay(None)
            # What failed is not tried again for every new verdict.
            await wait_for(self._changed if self._failures else self._awake, seconds)

    async def stop(self, grace: float) -> None:  # noqa: ARG002 - what is not taken is sent after the next start
        self._stopping = True
        self._awake.set()
        self._changed.set()

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._client.close()
        self.outbox.close()

    async def reload(self, config: Config) -> None:
        self._receiver = self._receiver_of(config)
        self._use(config)
        self._failures = 0
        self._awake.set()
        self._changed.set()

    def readings(self) -> Iterable[Sample]:
        for result, count in self._counts.items():
            yield Sample(catalogue.VERDICTS_EXPORTED, count, (result,))
        age = (self._clock.time_ns() - self._sums.oldest) / 1e9 if self._sums.oldest else 0.0
        yield Sample(catalogue.VERDICTS_PENDING, self._sums.verdicts)
        yield Sample(catalogue.VERDICTS_OLDEST_PENDING_SECONDS, age)

    async def _step(self) -> float:
        """Send some; the seconds to wait before the next step. Raises Unavailable."""
        receiver = self._receiver
        parcel = await self._in_thread(lambda: self._take(sending=receiver is not None))
        if parcel is None or receiver is None:
            return _LOOK_SECONDS
        sent = await receiver.send(parcel.found) if parcel.found else Sent()
        if sent.later:
            seconds = self._delay(sent.retry_after)
            log.warning("Verdicts were not taken; they are sent again.", why=sent.why, seconds=seconds)
            return seconds
        self._failures = 0
        self._counts[SENT] += len(parcel.found) - sent.rejected
        self._counts[REJECTED] += sent.rejected
        if sent.rejected:
            log.error("Verdicts were rejected and are not sent again.", verdicts=sent.rejected, why=sent.why)
        await self._in_thread(lambda: self._conclude(parcel))
        return 0.0

    def _delay(self, retry_after: float | None) -> float:
        """Longer after each failure; a receiver can only ask for more, and five minutes at most."""
        delay = min(self._first_delay * 2 ** min(self._failures, 10), _MAX_DELAY)
        self._failures += 1
        return max(jittered(delay, random.random), min(retry_after or 0.0, _MAX_DELAY))

    def _take(self, *, sending: bool) -> _Parcel | None:
        if dropped := self.outbox.make_room():
            self._counts[DROPPED] += dropped
            log.error("There is no room for more verdicts that wait to go out; the oldest do not.", verdicts=dropped)
        self._sums = self.outbox.sums()
        waiting = self.outbox.waiting() if sending else []
        if not waiting:
            return None
        return self._of_batch(waiting[0]) if waiting[0].batch else self._of_rows(waiting)

    def _of_rows(self, waiting: Sequence[Waiting]) -> _Parcel:
        """The oldest entries, as many as fit."""
        found: list[Evaluation] = []
        done: list[int] = []
        for one in waiting:
            if one.batch or (found and len(found) + len(one.rows) > AT_ONCE):
                break
            found += one.rows if one.stored else self._stored(one.rows)
            done.append(one.number)
        return _Parcel(found, done)

    def _stored(self, rows: Sequence[Evaluation]) -> list[Evaluation]:
        """Those that the store has: nobody heard how their insert ended."""
        asked = {"trace_ids": sorted({one.trace_id for one in rows}), "ids": [one.id for one in rows]}
        known = set(self._query("evaluations_known", asked).column("Id").to_pylist())
        return [one for one in rows if one.id in known]

    def _of_batch(self, one: Waiting) -> _Parcel:
        run, _, span = one.after.partition(" ")
        asked = {
            "project": one.project,
            "evaluator": one.evaluator,
            "batch": one.batch,
            "after_run": run,
            "after_span": span,
            "limit": AT_ONCE,
        }
        found = list(evaluations_of(self._query("evaluations_of_batch", asked)))
        if len(found) < AT_ONCE:
            return _Parcel(found, [one.number])
        return _Parcel(found, (), (one.number, f"{found[-1].trace_id} {found[-1].span_id}"))

    def _query(self, name: str, parameters: Mapping[str, object]) -> pa.Table:
        store = self._store().clone()
        try:
            return store.query(named_query(name), parameters)
        finally:
            store.close()

    def _conclude(self, parcel: _Parcel) -> None:
        self.outbox.forget(parcel.done)
        if parcel.going_on:
            self.outbox.go_on(*parcel.going_on)
        self._sums = self.outbox.sums()

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
