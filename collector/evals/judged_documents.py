"""Runs judged by models."""

from collections.abc import Callable, Container, Mapping

from collector.evals.choosing import READS, Chosen, Key, judged_before, key_of
from collector.evals.documents import TaskReader, parts_of
from collector.evals.judge_bench import JudgeBench
from collector.evals.judge_process import JudgeProcess
from collector.evals.tally import Tally
from collector.query.limits import Reader


class JudgedDocuments:
    """Each judgement is stored, spans and rows, as it comes."""

    def __init__(
        self,
        tasks: TaskReader,
        process: JudgeProcess,
        bench: JudgeBench,
        step: Callable[[], None] = lambda: None,
        *,
        again: bool = False,
    ) -> None:
        """`step` is called between judgements; what it raises ends them. `again`: also what was judged meanwhile."""
        self._tasks = tasks
        self._process = process
        self._bench = bench
        self._step = step
        self._again = again

    def judge(self, chosen: Chosen, tallies: Mapping[str, Tally]) -> None:
        """As Judges has it."""
        for part in parts_of(chosen):
            keys = [key_of(runs, self._tasks.evaluators[at]) for runs, positions in part for at in positions]
            with self._bench.claims.of(self._tasks.project, keys) as mine:
                if left := self._left(part, mine, tallies):
                    self._judge(left, tallies)

    def finish(self, tallies: Mapping[str, Tally]) -> None:
        """As Judges has it: nothing is under way after `judge`."""

    def _left(self, part: Chosen, mine: Container[Key], tallies: Mapping[str, Tally]) -> Chosen:
        """Without what somebody else judges, or has judged since it was chosen."""
        reader, evaluators = Reader(lambda: self._tasks.store, READS), self._tasks.evaluators
        known = set() if self._again else judged_before(reader, self._tasks.project, [runs[0] for runs, _ in part])
        left = []
        for runs, positions in part:
            kept = [at for at in positions if (key := key_of(runs, evaluators[at])) in mine and key not in known]
            for at in set(positions).difference(kept):
                tallies[evaluators[at].name].selected -= 1
                tallies[evaluators[at].name].known += 1
            if kept:
                left.append((runs, kept))
        return left

    def _judge(self, part: Chosen, tallies: Mapping[str, Tally]) -> None:
        for found in self._process.judge(self._tasks.project, self._tasks.task(part), self._step):
            self._bench.judgements.deliver(self._tasks.store, self._tasks.project, found)
            for row in (row for one in found for row in one.rows):
                tallies[row.evaluator].add(row)
            self._step()

    def price(self, chosen: Chosen, prices: Mapping[str, list[tuple[int | None, int | None]]]) -> None:
        """Add what each judgement would cost. Raises Unavailable."""
        for part in parts_of(chosen):
            for found in self._process.price(self._tasks.project, self._tasks.task(part)):
                prices[found.evaluator].append(found.price)
