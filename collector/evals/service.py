"""What pages, REST and the command line ask of evaluations that is more than a read."""

from collections.abc import Callable, Iterable, Sequence

from collector.config import EvaluatorConfig
from collector.errors import ConfigError, Reason, Rejected
from collector.evals.backfill import Outcome, backfill
from collector.evals.choosing import Window
from collector.evals.deciding import COMMAND
from collector.evals.evaluator import Evaluator, evaluators_of
from collector.evals.judge_bench import JudgeBench
from collector.evals.judged_backfill import judged_backfill
from collector.evals.questions import judge_check, with_judge
from collector.evals.workshop import Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import Clock
from collector.model.evaluations import Evaluation
from collector.model.progress import Progress
from collector.store.client import Store


class EvalService:
    """`evaluators` gives those in force, `commands` whether they may start programs. Every method blocks, and raises
    Unavailable when the store does not answer.
    """

    def __init__(
        self,
        store: Callable[[], Store],
        evaluators: Callable[[], Sequence[Evaluator]],
        clock: Clock,
        bench: JudgeBench | None = None,
        commands: Callable[[], bool] = lambda: False,
        writer: EvaluationWriter | None = None,
    ) -> None:
        """Without a `bench` no models are asked, without `commands` no programs started."""
        self._store = store
        self._evaluators = evaluators
        self._clock = clock
        self._bench = bench
        self._commands = commands
        self._writer = writer or EvaluationWriter()

    @property
    def evaluators(self) -> Sequence[Evaluator]:
        """Those in force."""
        return self._evaluators()

    def named(self, names: Sequence[str]) -> Sequence[Evaluator]:
        """Those in force with these names; all, without any. Raises Rejected(MALFORMED) for a name that none has."""
        known = {one.name: one for one in self.evaluators}
        if unknown := [name for name in names if name not in known]:
            raise Rejected(Reason.MALFORMED, f"There is no evaluator {unknown[0][:100]!r} in the settings.")
        chosen = [known[name] for name in names]
        programs = [one.name for one in chosen if one.config.check.kind == COMMAND]
        if programs and not self._commands():
            text = f"The evaluator {programs[0]} starts a program, which evals.commands does not allow."
            raise Rejected(Reason.MALFORMED, text)
        return chosen or self.evaluators

    def defined(self, configs: Iterable[EvaluatorConfig]) -> Sequence[Evaluator]:
        """Evaluators that are not of the settings, with their judges of these. Raises Rejected(MALFORMED)."""
        judges = self._bench.judges() if self._bench else {}
        try:
            return [with_judge(one, judges) for one in evaluators_of(configs)]
        except ConfigError as mistake:
            raise Rejected(Reason.MALFORMED, str(mistake)) from None

    def backfill(
        self, evaluators: Sequence[Evaluator], window: Window, progress: Progress, *, dry_run: bool = False
    ) -> Outcome:
        """As `backfill.backfill`, and then as `judged_backfill`, through a connection and processes of its own."""
        asking = [one for one in evaluators if judge_check(one)]
        store, workshop = self._store().clone(), Workshop()
        try:
            outcome = backfill(
                store,
                evaluators,
                window,
                self._clock,
                progress,
                workshop,
                self._writer,
                dry_run=dry_run,
                commands=self._commands(),
            )
            if not asking or self._bench is None:
                return outcome
            return judged_backfill(self._bench, store, asking, window, self._clock, progress, outcome, dry_run=dry_run)
        finally:
            workshop.close()
            store.close()

    def add(self, found: Sequence[Evaluation]) -> None:
        """Store evaluations that came from elsewhere."""
        store = self._store().clone()
        try:
            self._writer.add(store, found)
        finally:
            store.close()
