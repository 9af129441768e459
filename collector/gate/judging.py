"""The judges of a gate: every run is asked about, a few at once, within the gate's own cap."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from collector.config.checks import Judge as JudgeCheck
from collector.enrich.prices.catalogue import Catalogue
from collector.enrich.prices.pricing import price
from collector.evals.evaluate import About, evaluation, subjects
from collector.evals.evaluator import Evaluator
from collector.evals.finding import skipped
from collector.evals.questions import asking_of, endpoint_of, judge_check, judge_named, limits_of, question_of
from collector.evals.subject import Subject
from collector.gate.collect import CaseRun
from collector.gate.policy import Loaded
from collector.judge.caps import Both, CallCap, Cap
from collector.judge.client import ModelClient
from collector.judge.judge import Judge, Pricer
from collector.model.clock import Clock
from collector.model.evaluations import EvalStatus, Evaluation, Skip
from collector.model.money import picodollars
from collector.model.progress import Progress
from collector.model.usage import Usage


def pricer_of(catalogue: Catalogue) -> Pricer:
    """Prices as the daemon's: what a judge's span will be priced with."""

    def priced(provider: str, requested: str, answered: str, usage: Usage, at: int) -> int | None:
        found = price(
            catalogue, provider=provider, request_model=requested, response_model=answered, usage=usage, at=at
        )
        return found.cost

    return priced


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
    judge = Judge(ModelClient(clock), pricer_of(catalogue or Catalogue.bundled()), publish, clock)
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
            rows = await _judged(loaded, judge, task, batch)
            done += 1
            progress(done, len(tasks))
            return task.run.trace_id, rows

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


async def _judged(loaded: Loaded, judge: Judge, task: _Task, batch: str) -> list[Evaluation]:
    evaluator, check, cap, run, subject = task
    about = About("default", run.trace_id, input_hash=run.input_hash, batch=batch, case=run.case)
    blank = evaluation(evaluator, subject, skipped(Skip.NO_DATA, "There is nothing for the judge to see."), about, 0)
    question = question_of(evaluator.name, check, subject)
    if question is None:
        return [blank]
    name, config = judge_named(check, loaded.policy.judges, evaluator.name)
    limits = limits_of(check, allow_unpriced=loaded.policy.budget.max_calls is not None)
    blank = replace(blank, status=EvalStatus.OK, error_type="", reason="")
    return await judge.judge(blank, question, asking_of(check, config), endpoint_of(name, config), cap, limits)
