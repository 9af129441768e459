"""The evaluators in force, and runs judged by them once they are settled: by checks, and apart from these by models."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

from collector.config import Config, all_evaluators
from collector.config.evals import JudgeConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.errors import Reason, Unavailable
from collector.evals.deciding import deciding
from collector.evals.documents import Documents, Judges, TaskReader
from collector.evals.evaluator import Evaluator, evaluators_of
from collector.evals.judge_bench import JudgeBench
from collector.evals.judge_leases import JudgeLeases
from collector.evals.judged_documents import JudgedDocuments
from collector.evals.judgements import FILE, Judgements
from collector.evals.online import FOUND, Lane
from collector.evals.questions import judge_check, with_judge
from collector.evals.workshop import Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import Clock
from collector.model.evaluations import ONLINE
from collector.part import Part
from collector.spending.enforcement import Enforcement
from collector.store.client import Store
from collector.telemetry import Sample, catalogue


class Judging(Part):
    """Knows the evaluators of the settings and of the files that they name, and judges runs that have settled."""

    name = "evals"
    settings = ("evaluators", "judges", "evals.enabled", "evals.files", "evals.commands")
    reloadable = settings

    def __init__(
        self,
        config: Config,
        store: Callable[[], Store],
        clock: Clock,
        enforcement: Enforcement,
        prices: Callable[[], Catalogue],
        record: Callable[[str, bytes], Coroutine[Any, Any, object]],
        writer: EvaluationWriter,
    ) -> None:
        """`record` makes spans durable. Raises ConfigError when evaluators cannot be used, StartError."""
        self._stopping = asyncio.Event()
        self._use(config)
        self._clock = clock
        self._workshop = Workshop()
        self._writer = writer
        leases = JudgeLeases(enforcement, self._max_calls)
        judgements = Judgements(config.directory / FILE, lambda *asked: leases.wait(record(*asked)), writer)
        self.bench = JudgeBench(lambda: self.judges, prices, leases, judgements)
        self._process = self.bench.process()
        self._lanes = (
            Lane("evals", store, clock, self._checks, self._checked),
            Lane("judges", store, clock, self._asking, self._judged, judgements.recover),
        )

    def _use(self, config: Config) -> None:
        configured = evaluators_of(all_evaluators(config.evaluators, config.evals.files))
        evaluators = tuple(with_judge(one, config.judges) for one in configured)
        self.evaluators: Sequence[Evaluator] = evaluators
        self.judges: Mapping[str, JudgeConfig] = config.judges
        self._enabled = config.evals.enabled
        self.commands = config.evals.commands

    async def open(self) -> None:
        self.bench.leases.use(asyncio.get_running_loop())

    async def reload(self, config: Config) -> None:
        self._use(config)

    async def run(self) -> None:
        """Judge what settles until `stop`. What fails is tried again."""
        await asyncio.gather(*(lane.run(self._stopping) for lane in self._lanes))

    async def stop(self, grace: float) -> None:
        """What is not judged is left to the next start."""
        self._stopping.set()
        self.bench.leases.stop()
        self._workshop.close()
        self._process.close()
        self.bench.close()
        await asyncio.gather(*(lane.stop(grace) for lane in self._lanes))

    def close(self) -> None:
        self.bench.leases.stop()
        self._workshop.close()
        self._process.close()
        self.bench.close()
        for lane in self._lanes:
            lane.close()
        self.bench.judgements.close()

    def readings(self) -> Iterable[Sample]:
        for outcome in sorted(FOUND):
            yield Sample(catalogue.EVALUATIONS, sum(lane.rows[outcome] for lane in self._lanes), (outcome,))

    def _checks(self) -> Sequence[Evaluator]:
        return deciding(self.evaluators, commands=self.commands) if self._enabled else []

    def _asking(self) -> Sequence[Evaluator]:
        return [one for one in self.evaluators if judge_check(one)] if self._enabled else []

    def _checked(self, store: Store, evaluators: Sequence[Evaluator], project: str) -> Judges:
        return Documents(self._tasks(store, evaluators, project), self._workshop, self._writer)

    def _judged(self, store: Store, evaluators: Sequence[Evaluator], project: str) -> Judges:
        return JudgedDocuments(self._tasks(store, evaluators, project), self._process, self.bench, self._step)

    def _tasks(self, store: Store, evaluators: Sequence[Evaluator], project: str) -> TaskReader:
        return TaskReader(store, evaluators, project, ONLINE, self._clock)

    def _step(self) -> None:
        if self._stopping.is_set():
            raise Unavailable(Reason.STOPPING, "The daemon is stopping.")

    def _max_calls(self, evaluator: str) -> int | None:
        found = next((one for one in self.evaluators if one.name == evaluator), None)
        check = judge_check(found) if found else None
        return check.budget.max_calls if check else None
