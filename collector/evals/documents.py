"""Runs judged by their documents, without a model."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Final, Protocol

import pyarrow as pa

from collector.evals.choosing import Chosen
from collector.evals.conversations import Together, hash_of
from collector.evals.evaluate import About
from collector.evals.evaluator import Evaluator
from collector.evals.tally import Tally
from collector.evals.workshop import Task, Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import Clock
from collector.model.evaluations import Evaluation
from collector.query.run_filter import HOUR_NS
from collector.query.run_rows import RunRow
from collector.store.client import Store
from collector.store.sql import named_query

_SPANS_OF_TASK: Final = 5_000
MAX_SPANS: Final = 100_000
_MAX_HOURS: Final = 2_000


class Judges(Protocol):
    """Judges runs, and counts what came of them."""

    def judge(self, chosen: Chosen, tallies: Mapping[str, Tally]) -> None:
        """Have runs judged; what was found of those before is stored. Raises Unavailable."""
        ...

    def finish(self, tallies: Mapping[str, Tally]) -> None:
        """Wait for what is under way, and store it. Raises Unavailable."""
        ...


class TaskReader:
    """Reads what is judged of one project's runs."""

    def __init__(self, store: Store, evaluators: Sequence[Evaluator], project: str, batch: str, clock: Clock) -> None:
        self.store = store
        self.evaluators = evaluators
        self.project = project
        self._batch = batch
        self._clock = clock

    def task(self, part: Chosen) -> Task:
        """What is to be done with some runs, their spans included. Raises Unavailable."""
        hours = [(hour, run.trace_id) for runs, _ in part for run in runs for hour in _hours(run)]
        parameters = {
            "project": self.project,
            "hours": [hour for hour, _ in hours],
            "trace_ids": [trace_id for _, trace_id in hours],
            "limit": MAX_SPANS,
        }
        spans = self.store.query(named_query("evals_documents"), parameters)
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, spans.schema) as writer:
            writer.write_table(spans)
        now = self._clock.time_ns()
        runs = [(self._about(together, now), positions) for together, positions in part]
        return Task(stream.getvalue().to_pybytes(), self.evaluators, runs)

    def _about(self, together: Together, now: int) -> About:
        run = together[0]
        return About(
            project=run.project,
            trace_id=run.trace_id,
            conversation_id=run.conversation_id,
            input_hash=hash_of(together),
            others=tuple(one.trace_id for one in together[1:]),
            batch=self._batch,
            at=now,
            agent=run.agent_name,
            feature=run.feature,
            model=run.models[0] if len(run.models) == 1 else "",
        )


class Documents:
    """While the process is at some runs, the next are read and the last are stored."""

    def __init__(self, tasks: TaskReader, workshop: Workshop, writer: EvaluationWriter) -> None:
        self._tasks = tasks
        self._workshop = workshop
        self._writer = writer
        self._under_way: Future[Sequence[Evaluation]] | None = None

    def judge(self, chosen: Chosen, tallies: Mapping[str, Tally]) -> None:
        """As Judges has it."""
        for part in parts_of(chosen):
            task = self._tasks.task(part)
            self.finish(tallies)
            self._under_way = self._workshop.judge(task)

    def finish(self, tallies: Mapping[str, Tally]) -> None:
        """As Judges has it."""
        if self._under_way is None:
            return
        found = self._workshop.result(self._under_way)
        self._under_way = None
        self._writer.add(self._tasks.store, found)
        for one in found:
            tallies[one.evaluator].add(one)


def parts_of(chosen: Chosen) -> Iterator[Chosen]:
    """So many runs together as have few spans."""
    part: list[tuple[Together, Sequence[int]]] = []
    spans = 0
    for runs, positions in chosen:
        more = sum(run.spans for run in runs)
        if part and spans + more > _SPANS_OF_TASK:
            yield part
            part, spans = [], 0
        part.append((runs, positions))
        spans += more
    if part:
        yield part


def _hours(run: RunRow) -> range:
    """The hours that a run has spans in, and one more at each end: the store's may begin at other minutes."""
    first = run.start // HOUR_NS
    return range((first - 1) * 3600, min(run.end // HOUR_NS + 2, first + _MAX_HOURS) * 3600, 3600)
