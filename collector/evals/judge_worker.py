"""The process that asks models. It reads runs, asks within leases, and gives back rows and spans; it stores nothing."""

import asyncio
import itertools
import os
import signal
import threading
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

from collector.config.checks import Judge as JudgeCheck
from collector.errors import ConfigError, SpanmeterError
from collector.evals.asking import Asker, Judged
from collector.evals.evaluate import About, is_about, subjects
from collector.evals.evaluator import Evaluator
from collector.evals.judge_messages import Begin, Ended, Found, Held, Priced, Reserve, Spent, Unused, Work
from collector.evals.model_prices import pricer_of
from collector.evals.questions import judge_check, judge_named
from collector.evals.subject import Subject
from collector.evals.workshop import Task, runs_of
from collector.judge.caps import Both, CallCap, Cap, Hold
from collector.judge.client import ModelClient
from collector.model.clock import SystemClock
from collector.model.money import picodollars

_NICE: Final = 10


def work(connection: Connection) -> None:
    """Do what the daemon asks for until it goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; the daemon says when to end
    with suppress(OSError):
        os.nice(_NICE)
    asyncio.run(_Worker(connection).run())


class _Matter(NamedTuple):
    """What of a run is judged by whom: the run, or some of its spans."""

    evaluator: Evaluator
    check: JudgeCheck
    subjects: Sequence[Subject]
    about: About


class _Worker:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._clock = SystemClock()
        self._client = ModelClient(self._clock)
        self._asker: Asker | None = None
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[str | None]] = {}
        self._work: asyncio.Queue[Work] = asyncio.Queue()
        self._caps: dict[str, CallCap] = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, args=(loop,), daemon=True).start()
        while True:
            wanted = await self._work.get()
            mistake = ""
            try:
                await self._do(wanted)
            except SpanmeterError as error:
                mistake = str(error)
            self.send(Ended(mistake))

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever asked may be gone: then nobody pays attention to what is found, and no further call is made."""
        try:
            while True:
                loop.call_soon_threadsafe(self._hear, self._connection.recv())
        except (EOFError, OSError):
            os._exit(0)

    def _hear(self, message: Begin | Work | Held) -> None:
        if isinstance(message, Begin):
            self._asker = Asker(self._client, pricer_of(message.catalogue), self._clock, message.judges)
        elif isinstance(message, Work):
            self._work.put_nowait(message)
        else:
            self._asked.pop(message.number).set_result(message.lease)

    def send(self, message: object) -> None:
        self._connection.send(message)

    async def reserve(self, evaluator: str, stated: Mapping[str, str], pico: int, tokens: int) -> str | None:
        """The lease of a call; None when it may not be made."""
        number = next(self._numbers)
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        self.send(Reserve(number, evaluator, stated, pico, tokens))
        return await answer

    async def _do(self, wanted: Work) -> None:
        asker = self._asker
        assert asker, "the daemon begins with Begin"
        if wanted.only_price:
            for matter in _matters(wanted.task):
                for subject in matter.subjects:
                    price = asker.price(matter.evaluator, matter.check, subject)
                    self.send(Priced(matter.evaluator.name, price))
            return
        # Each judgement under way has set its worst case aside: no more of them than are asked at once.
        limits: dict[str, asyncio.Semaphore] = {}
        async with asyncio.TaskGroup() as tasks:
            for matter in _matters(wanted.task):
                limit = limits.setdefault(matter.evaluator.name, asyncio.Semaphore(_at_once(asker, matter)))
                tasks.create_task(self._judge(asker, matter, self._cap(matter, wanted.capped), limit))

    def _cap(self, matter: _Matter, capped: Container[str]) -> Cap:
        daemons = _Leases(self, matter.evaluator.name)
        if matter.evaluator.name in capped:
            return daemons
        own = self._caps.get(matter.evaluator.name)
        if own is None:
            budget = matter.check.budget
            own = CallCap(None if budget.usd is None else picodollars(budget.usd), budget.max_calls)
            self._caps[matter.evaluator.name] = own
        return Both(daemons, own)

    async def _judge(self, asker: Asker, matter: _Matter, cap: Cap, limit: asyncio.Semaphore) -> None:
        """All of it together: of a run that is judged in part nobody would know what is left."""

        async def judged(subject: Subject) -> Judged:
            async with limit:
                try:
                    return await asker.judged(matter.evaluator, matter.check, subject, matter.about, cap)
                except Exception as failure:  # noqa: BLE001 - a defect met with one must not keep others from being judged
                    return asker.failed(matter.evaluator, subject, matter.about, failure)

        found = await asyncio.gather(*map(judged, matter.subjects))
        rows = [row for one in found for row in one.rows]
        self.send(Found(Judged(rows, [request for one in found for request in one.requests])))


def _at_once(asker: Asker, matter: _Matter) -> int:
    try:
        return judge_named(matter.check, asker.judges, matter.evaluator.name)[1].max_concurrency
    except ConfigError:
        return 1


def _matters(task: Task) -> Iterator[_Matter]:
    """What is to be judged of the runs of a task; runs whose spans have expired since give none."""
    for about, chosen, run in runs_of(task):
        whole = Subject(run)
        for evaluator in (task.evaluators[at] for at in chosen):
            check = judge_check(evaluator)
            if check and is_about(evaluator, about) and (found := list(subjects(evaluator.config, whole))):
                yield _Matter(evaluator, check, found, about)


class _Leases(NamedTuple):
    """Implements `judge.caps.Cap`: the daemon grants, as it knows what all others spend."""

    worker: _Worker
    evaluator: str

    async def reserve(self, stated: Mapping[str, str], pico: int, tokens: int = 0) -> Hold | None:
        lease = await self.worker.reserve(self.evaluator, stated, pico, tokens)
        return None if lease is None else _Lease(self.worker, lease)


class _Lease(NamedTuple):
    worker: _Worker
    id: str

    async def settle(self, pico: int | None, tokens: int = 0) -> None:
        """Without any usage the worst case stays set aside: nobody knows what the call has cost."""
        if self.id and (pico is not None or tokens):
            self.worker.send(Spent(self.id, pico or 0, tokens))

    async def release(self) -> None:
        if self.id:
            self.worker.send(Unused(self.id))
