"""Documents of runs made and judged in a process of their own: receiving and storing never wait for it."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Final

import pyarrow as pa

from collector.errors import Reason, Unavailable
from collector.evals.conversations import joined
from collector.evals.evaluate import About, evaluate
from collector.evals.evaluator import Evaluator
from collector.model.evaluations import Evaluation
from collector.runs import Run, read_runs, run_of

_NICE: Final = 10


@dataclass(frozen=True, slots=True)
class Task:
    """Runs to judge: the spans of all of them as an Arrow stream, and of each which of the evaluators look at it."""

    spans: bytes
    evaluators: Sequence[Evaluator]
    runs: Sequence[tuple[About, Sequence[int]]]


class Workshop:
    """One process, started when it is first needed."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def judge(self, task: Task) -> "Future[Sequence[Evaluation]]":
        """Have a task done. The future raises BrokenProcessPool when the process has died of it."""
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_begin)
        return self._pool.submit(judged, task)

    def close(self) -> None:
        """End the process, and what it is at."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def result(self, future: "Future[Sequence[Evaluation]]") -> Sequence[Evaluation]:
        """What came of a task. Raises Unavailable when the process has died; the next task has a new one."""
        try:
            return future.result()
        except BrokenProcessPool:
            self.close()
            raise Unavailable(Reason.INTERNAL, "The process that judges has died; it begins again.") from None


def _begin() -> None:
    with suppress(OSError):
        os.nice(_NICE)
    if parent := parent_process():
        Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: BaseProcess) -> None:
    """A daemon that is killed leaves no process behind."""
    parent.join()
    os._exit(1)


def judged(task: Task) -> Sequence[Evaluation]:
    """What the evaluators of a task find. Runs whose spans have expired since give none."""
    return [
        found
        for about, chosen, run in runs_of(task)
        for found in evaluate([task.evaluators[at] for at in chosen], run, about)
    ]


def runs_of(task: Task) -> Iterator[tuple[About, Sequence[int], Run]]:
    """The runs of a task, those of a conversation as one, with what their spans tell about them. Those whose spans have
    expired since are left out.
    """
    table = pa.ipc.open_stream(task.spans).read_all()
    releases, cases = _by_trace(table, "Release"), _by_trace(table, "Case")
    runs = read_runs(table)
    for about, chosen in task.runs:
        parts = [run_of(runs[trace_id]) for trace_id in about.trace_ids if trace_id in runs]
        if parts:
            told = replace(about, release=releases.get(about.trace_id, ""), case=cases.get(about.trace_id, ""))
            yield told, chosen, joined(parts)


def _by_trace(table: pa.Table, column: str) -> dict[str, str]:
    """Of each trace the value that a span of it names."""
    of_each = zip(table.column("TraceId").to_pylist(), table.column(column).to_pylist(), strict=True)
    return {trace_id: value for trace_id, value in of_each if value}
