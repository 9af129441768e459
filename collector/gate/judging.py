"""The judges of a gate: every run is asked about, a few at once, within the gate's own cap."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from collector.config.checks import Judge as JudgeCheck
from collector.enrich.prices.catalogue import Catalogue
from collector.evals.asking import Asker
from collector.evals.evaluate import About, subjects
from collector.evals.evaluator import Evaluator
from collector.evals.model_prices import pricer_of
from collector.evals.questions import judge_check, judge_named
from collector.evals.subject import Subject
from collector.gate.collect import CaseRun
from collector.gate.policy import Loaded
from collector.judge.caps import Both, CallCap, Cap
from collector.judge.client import ModelClient
from collector.model.clock import Clock
from collector.model.evaluations import Evaluation
from collector.model.money import picodollars
from collector.model.progress import Progress


class _Task(NamedTuple):
    evaluator: Evaluator
    check: JudgeCheck
    cap: Cap
    run: CaseRun
    subject: Subject


def judge_all(
    loaded: Loaded,
    evaluators: Sequence[Evaluator],
    runs: Sequence[CaseRun],
    batch: str,
    clock: Clock,
    publish: Callable[[bytes], object],
    progress: Progress,
    catalogue: Catalogue | None = None,
) -> dict[str, list[Evaluation]]:
    """The rows of all judges, by trace id. `publish` takes the spans of each judgement. Raises ConfigError."""
    judges = [(one, check) for one in evaluators if (check := judge_check(one))]
    if not judges:
        return {}
    asker = Asker(ModelClient(clock), pricer_of(catalogue or Catalogue.bundled()), clock, loaded.policy.judges)
    for evaluator, check in judges:
        judge_named(check, loaded.policy.judges, evaluator.name)
    caps = _caps(loaded, judges)
    tasks = [
        _Task(evaluator, check, caps[evaluator.name], run, subject)
        for evaluator, check in judges
        for run in runs
        for subject in subjects(evaluator.config, Subject(run.run))
    ]

    async def run_all() -> list[tuple[str, list[Evaluation]]]:
        done = 0

        async def one_of(task: _Task) -> tuple[str, list[Evaluation]]:
            nonlocal done
            about = About("default", task.run.trace_id, input_hash=task.run.input_hash, batch=batch, case=task.run.case)
            counted = loaded.policy.budget.max_calls is not None
            asked = task.evaluator, task.check, task.subject, about, task.cap
            judged = await asker.judged(*asked, allow_unpriced=counted)
            for request in judged.requests:
                publish(request)
            done += 1
            progress(done, len(tasks))
            return task.run.trace_id, list(judged.rows)

        return await asyncio.gather(*map(one_of, tasks))

    found: dict[str, list[Evaluation]] = {}
    for trace_id, rows in asyncio.run(run_all()):
        found.setdefault(trace_id, []).extend(rows)
    return found


def _caps(loaded: Loaded, judges: Sequence[tuple[Evaluator, JudgeCheck]]) -> Mapping[str, Cap]:
    """The gate's cap, within which each evaluator has its own."""
    budget = loaded.policy.budget
    whole = CallCap(None if budget.usd is None else picodollars(budget.usd), budget.max_calls)
    caps: dict[str, Cap] = {}
    for evaluator, check in judges:
        own = check.budget
        caps[evaluator.name] = Both(whole, CallCap(None if own.usd is None else picodollars(own.usd), own.max_calls))
    return caps
