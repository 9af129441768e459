"""The daemon's end of the process that asks models: it grants calls, and takes what is found."""

import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from collector.config.evals import JudgeConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.errors import Reason, Unavailable
from collector.evals.asking import Judged
from collector.evals.judge_leases import JudgeLeases
from collector.evals.judge_messages import Begin, Ended, Found, Held, Priced, Reserve, Spent, Unused, Work
from collector.evals.judge_worker import work
from collector.evals.workshop import Task

# What is found waits for more for so long at most: what a killed process has not handed over is lost.
_MAX_TOGETHER: Final = 20
_MAX_WAIT: Final = 0.2
_IDLE_SECONDS: Final = 0.5

Judges = Callable[[], Mapping[str, JudgeConfig]]


class JudgeProcess:
    """One process, started when it is first needed. Blocking, for one thread at a time; `close` is for any."""

    def __init__(self, judges: Judges, catalogue: Callable[[], Catalogue], leases: JudgeLeases) -> None:
        self._judges = judges
        self._catalogue = catalogue
        self._leases = leases
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._begun: Begin | None = None

    def judge(self, project: str, task: Task, idle: Callable[[], None] = lambda: None) -> Iterator[list[Judged]]:
        """What judges find, some at a time; what a caller leaves unread is lost. Raises Unavailable.

        `idle` is called while nothing comes; what it raises ends the process, with all that it is at.
        """
        together: list[Judged] = []
        since = 0.0
        capped = frozenset(one.name for one in task.evaluators if self._leases.caps(one.name))
        for message in self._answers(project, Work(task, only_price=False, capped=capped), idle):
            if isinstance(message, Found):
                since = since if together else time.monotonic()
                together.append(message.judged)
            waited = time.monotonic() - since
            if together and (len(together) >= _MAX_TOGETHER or waited > _MAX_WAIT or not self._more()):
                yield together
                together = []
        if together:
            yield together

    def price(self, project: str, task: Task) -> Iterator[Priced]:
        """What judging would cost, one judgement after the other. Raises Unavailable."""
        for message in self._answers(project, Work(task, only_price=True), lambda: None):
            if isinstance(message, Priced):
                yield message

    def close(self) -> None:
        """End the process. Calls under way may have been charged: their leases stay."""
        connection, process = self._connection, self._process
        self._connection = self._process = self._begun = None
        if process:
            process.kill()
            process.join()
        if connection:
            connection.close()

    def _answers(self, project: str, wanted: Work, idle: Callable[[], None]) -> Iterator[object]:
        try:
            self._started().send(wanted)
            while not isinstance(message := self._heard(idle), Ended):
                if isinstance(message, Reserve):
                    self._connected().send(Held(message.number, self._reserved(project, message)))
                elif isinstance(message, Spent):
                    self._leases.spent(project, message.lease, message.pico, message.tokens)
                elif isinstance(message, Unused):
                    self._leases.release(project, message.lease)
                else:
                    yield message
        except (EOFError, OSError):
            self.close()
            raise Unavailable(Reason.INTERNAL, "The process that asks judges has died; it begins again.") from None
        except BaseException:
            self.close()  # it is at something that nobody waits for
            raise
        if message.mistake:
            raise Unavailable(Reason.INTERNAL, message.mistake)

    def _reserved(self, project: str, asked: Reserve) -> str | None:
        return self._leases.reserve(project, asked.evaluator, asked.stated, asked.pico, asked.tokens)

    def _heard(self, idle: Callable[[], None]) -> Any:
        while not self._connected().poll(_IDLE_SECONDS):
            idle()
        return self._connected().recv()

    def _more(self) -> bool:
        """Whether something waits; what ended the process is met by who listens next."""
        try:
            return self._connected().poll()
        except (EOFError, OSError):
            return False

    def _connected(self) -> Connection:
        if self._connection is None:
            raise EOFError
        return self._connection

    def _started(self) -> Connection:
        if self._process is None:
            context = get_context("spawn")
            ours, theirs = context.Pipe()
            self._process = context.Process(target=work, args=(theirs,), name="judges", daemon=True)
            self._process.start()
            theirs.close()
            self._connection = ours
        begin = Begin(self._judges(), self._catalogue())
        if self._begun is None or begin.judges != self._begun.judges or begin.catalogue is not self._begun.catalogue:
            self._connected().send(begin)
            self._begun = begin
        return self._connected()
