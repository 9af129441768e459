"""Evaluators that ask a model over the stored runs of a window, and what that would cost."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from collector.evals.backfill import Outcome
from collector.evals.choosing import PAGE, READS, Window, choose, pages_of
from collector.evals.documents import TaskReader
from collector.evals.evaluator import Evaluator
from collector.evals.judge_bench import JudgeBench
from collector.evals.judged_documents import JudgedDocuments
from collector.evals.tally import Tally
from collector.model.clock import Clock
from collector.model.money import usd
from collector.model.progress import Progress
from collector.query import run_questions
from collector.query.limits import Reader
from collector.query.listing import RunsWanted
from collector.store.client import Store

_PRICED_RUNS: Final = 200  # whose documents a dry run reads; the price of the others follows from theirs


def judged_backfill(
    bench: JudgeBench,
    store: Store,
    evaluators: Sequence[Evaluator],
    window: Window,
    clock: Clock,
    progress: Progress,
    before: Outcome,
    *,
    dry_run: bool,
) -> Outcome:
    """Ask the judges of a window's runs, or only say what that costs; with what came of other evaluators `before`.

    Raises Unavailable, and what `progress` raises: what was judged until then stays.
    """
    outcome = replace(before, tallies={**before.tallies, **{one.name: Tally() for one in evaluators}})
    reader = Reader(lambda: store, READS)
    wanted = RunsWanted(window.since, window.until, limit=PAGE, folded=False)
    total = run_questions.kpis(reader, window.project, wanted, (0, 0), 0).window.runs
    looked_at, seen = 0, set[str]()
    bench.judgements.recover(store)
    with bench.opened() as process:

        def step() -> None:
            progress(looked_at, max(looked_at, total))

        tasks = TaskReader(store, evaluators, window.project, outcome.batch, clock)
        documents = JudgedDocuments(tasks, process, bench, step, again=window.again)
        prices: dict[str, list[tuple[int | None, int | None]]] = {one.name: [] for one in evaluators}
        to_price = _PRICED_RUNS
        step()
        for page in pages_of(reader, window.project, wanted):
            chosen = choose(reader, evaluators, window, page, outcome.tallies, clock.time_ns(), seen)
            if dry_run:
                documents.price(chosen[:to_price], prices)
                to_price -= min(to_price, len(chosen))
            else:
                documents.judge(chosen, outcome.tallies)
            looked_at += len(page)
            step()
    for name, found in prices.items():
        _estimate(outcome.tallies[name], found)
    return replace(outcome, runs=max(before.runs, looked_at))


def _estimate(tally: Tally, prices: Sequence[tuple[int | None, int | None]]) -> None:
    """Of all selected runs, from those whose documents were read."""
    if not prices:
        return
    times = Decimal(max(tally.selected, len(prices))) / len(prices)
    tally.price.unpriced = any(about is None for about, _ in prices)
    tally.price.about = usd(sum(about or 0 for about, _ in prices)) * times
    tally.price.most = usd(sum(most or 0 for _, most in prices)) * times
