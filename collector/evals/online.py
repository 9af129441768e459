"""Runs judged once they are settled: one lane of evaluators, in a thread of its own."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Final

import structlog

from collector.config import ReadsConfig
from collector.errors import SpanmeterError, Unavailable
from collector.evals.choosing import Window, choose
from collector.evals.documents import Judges
from collector.evals.evaluator import Evaluator
from collector.evals.select import input_hash
from collector.evals.tally import Tally
from collector.model.clock import Clock
from collector.query.limits import Reader
from collector.query.run_filter import moment
from collector.query.run_rows import RunRow, run_rows
from collector.store.client import Store
from collector.store.sql import named_query
from collector.waiting import wait_for

log = structlog.get_logger("spanmeter.evals")

PAUSE_SECONDS: Final = 5.0
_FAILED_SECONDS = 15.0
_RUNS_AT_ONCE = 200
# Sums of runs are kept a little after spans are stored: so far back is looked again. What is older than a restart of
# the daemon took is left to back-fills.
_LOOK_BACK = 900 * 10**9
_OLDEST = 3 * 86_400 * 10**9
_MAX_KNOWN = 100_000
_SECOND = 10**9
FOUND: Final = ("pass", "fail", "ok", "error", "skipped")

# Judges the runs of one project: from a store, by these evaluators.
MakeJudges = Callable[[Store, Sequence[Evaluator], str], Judges]


class Lane:
    """Judges what settles, by the evaluators that `evaluators` gives each time; `rows` counts what was found."""

    def __init__(
        self,
        name: str,
        store: Callable[[], Store],
        clock: Clock,
        evaluators: Callable[[], Sequence[Evaluator]],
        judges: MakeJudges,
        begin: Callable[[Store], None] = lambda _: None,
    ) -> None:
        """`begin` is called with each new connection, before anything is judged through it."""
        self._store = store
        self._clock = clock
        self._evaluators = evaluators
        self._judges = judges
        self._begin = begin
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: Store | None = None
        self._known: dict[str, None] = {}  # the oldest first
        self.rows = dict.fromkeys(FOUND, 0)

    async def run(self, stopping: asyncio.Event) -> None:
        """Judge until `stopping`. What fails is tried again."""
        loop = asyncio.get_running_loop()
        while not stopping.is_set():
            pause = await loop.run_in_executor(self._thread, self.step)
            await wait_for(stopping, pause)

    async def stop(self, grace: float) -> None:
        """What is not judged is left to the next start."""
        ending = asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        await asyncio.wait([ending], timeout=grace)

    def close(self) -> None:
        self._thread.shutdown(wait=True)

    def step(self) -> float:
        """Judge some runs; the seconds to wait before the next step."""
        chosen = self._evaluators()
        if not chosen:
            return PAUSE_SECONDS
        try:
            return 0.0 if self._judge(chosen) else PAUSE_SECONDS
        except Unavailable:
            self._disconnect()
            return _FAILED_SECONDS
        except SpanmeterError as error:
            log.warning("Runs could not be judged; it is tried again.", why=str(error))
            self._disconnect()
            return _FAILED_SECONDS

    def _judge(self, evaluators: Sequence[Evaluator]) -> bool:
        """Whether there may be more at once."""
        store = self._connected()
        revisions = " ".join(one.revision for one in evaluators)
        runs = [run for run in self._settled(store, evaluators) if self._key(run, revisions) not in self._known]
        part = runs[:_RUNS_AT_ONCE]
        reader = Reader(lambda: store, ReadsConfig())
        tallies = {one.name: Tally() for one in evaluators}
        for project, of_project in groupby(sorted(part, key=lambda run: run.project), key=lambda run: run.project):
            judges = self._judges(store, evaluators, project)
            now = self._clock.time_ns()
            chosen = choose(reader, evaluators, Window(project, 0, 0), list(of_project), tallies, now)
            judges.judge(chosen, tallies)
            judges.finish(tallies)
        self._remember(part, evaluators, revisions, tallies)
        return len(runs) > len(part)

    def _remember(
        self, runs: Sequence[RunRow], evaluators: Sequence[Evaluator], revisions: str, tallies: dict[str, Tally]
    ) -> None:
        for tally in tallies.values():
            for outcome, count in tally.rows.items():
                self.rows[outcome] += count
        longest = max(one.config.settle for one in evaluators) * _SECOND
        settled = self._clock.time_ns() - longest
        for run in runs:
            if run.last_received <= settled:  # for every evaluator
                self._known[self._key(run, revisions)] = None
        while len(self._known) > _MAX_KNOWN:
            del self._known[next(iter(self._known))]

    @staticmethod
    def _key(run: RunRow, revisions: str) -> str:
        return f"{run.project} {input_hash(run)} {revisions}"

    def _settled(self, store: Store, evaluators: Sequence[Evaluator]) -> list[RunRow]:
        now = self._clock.time_ns()
        shortest = min(one.config.settle for one in evaluators)
        longest = max(one.config.settle for one in evaluators)
        parameters = {
            "floor": moment(now - _OLDEST),
            "after": int(now - _LOOK_BACK - longest * _SECOND),
            "before": int(now - shortest * _SECOND),
            "limit": _MAX_KNOWN,
        }
        return run_rows(store.query(named_query("evals_settled"), parameters))

    def _connected(self) -> Store:
        if self._connection is None:
            store = self._store().clone()
            try:
                self._begin(store)
            except BaseException:
                store.close()
                raise
            self._connection = store
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None
