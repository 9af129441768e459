"""Evaluators without a model over the stored runs of a window."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from collector.evals import by_columns
from collector.evals.choosing import PAGE, READS, Window, choose, pages_of
from collector.evals.deciding import deciding
from collector.evals.documents import Documents, TaskReader
from collector.evals.evaluator import Evaluator
from collector.evals.tally import Tally
from collector.evals.workshop import Workshop
from collector.evals.writing import EvaluationWriter
from collector.model.clock import Clock
from collector.model.progress import Progress
from collector.query import run_questions
from collector.query.limits import Reader
from collector.query.listing import RunsWanted
from collector.query.run_filter import RunFilter
from collector.store.client import Store
from collector.store.sql import named_query


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a back-fill came to: `runs` were looked at, and what came of them by evaluator."""

    batch: str
    runs: int
    tallies: dict[str, Tally]


def backfill(
    store: Store,
    evaluators: Sequence[Evaluator],
    window: Window,
    clock: Clock,
    progress: Progress,
    workshop: Workshop,
    writer: EvaluationWriter,
    *,
    dry_run: bool = False,
    commands: bool = False,
) -> Outcome:
    """Judge the runs of a window, or only count them. Raises Unavailable, and what `progress` raises.

    Without `commands` evaluators that start a program are left out.

    What was judged until then stays: the next back-fill goes on with the rest.
    """
    decided = deciding(evaluators, commands=commands)
    outcome = Outcome(f"backfill-{secrets.token_hex(6)}", 0, {one.name: Tally() for one in decided})
    reader = Reader(lambda: store, READS)
    wanted = RunsWanted(window.since, window.until, limit=PAGE, folded=False)
    total = run_questions.kpis(reader, window.project, wanted, (0, 0), 0).window.runs
    progress(0, total)
    for one in filter(by_columns.needs_columns_only, decided):
        _by_columns(store, reader, one, window, outcome, clock.time_ns(), writer, dry_run=dry_run)
        progress(0, total)
    others = [one for one in decided if not by_columns.needs_columns_only(one)]
    documents = Documents(TaskReader(store, others, window.project, outcome.batch, clock), workshop, writer)
    looked_at, seen = 0, set[str]()
    for page in pages_of(reader, window.project, wanted) if others else ():
        progress(looked_at, max(looked_at, total))
        chosen = choose(reader, others, window, page, outcome.tallies, clock.time_ns(), seen)
        if not dry_run:
            documents.judge(chosen, outcome.tallies)
        looked_at += len(page)
    documents.finish(outcome.tallies)
    progress(looked_at if others else total, max(looked_at, total))
    return replace(outcome, runs=looked_at if others else total)


def _by_columns(
    store: Store,
    reader: Reader,
    one: Evaluator,
    window: Window,
    outcome: Outcome,
    now: int,
    writer: EvaluationWriter,
    *,
    dry_run: bool,
) -> None:
    """Judge by one statement, and count what came of it."""
    period = RunFilter(window.since, window.until, folded=False)
    tally = outcome.tallies[one.name]
    counts = by_columns.count(reader, one, window.project, period, now, again=window.again)
    tally.selected, tally.known = counts["Selected"], counts["KnownRuns"]
    tally.not_drawn, tally.not_settled = counts["NotDrawn"], counts["NotSettled"]
    if dry_run:
        return
    with writer.adding_batch(window.project, one.name, outcome.batch):
        by_columns.judge(store, reader, one, window.project, period, now, outcome.batch, again=window.again)
    parameters = {"project": window.project, "evaluator": one.name, "batch": outcome.batch}
    for row in reader.query(named_query("evals_of_batch"), parameters).to_pylist():
        tally.rows[row["Found"]] += row["Rows"]
