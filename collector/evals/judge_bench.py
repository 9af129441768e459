"""Evaluators that ask a model, over stored runs: what they need, and back-fills of them."""

import threading
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Final

from collector.config.evals import JudgeConfig
from collector.enrich.prices.catalogue import Catalogue
from collector.evals.backfill import (
    PAGE,
    READS,
    Chosen,
    Documents,
    Key,
    Outcome,
    Window,
    choose,
    judged_before,
    key_of,
    pages_of,
    parts_of,
)
from collector.evals.evaluator import Evaluator
from collector.evals.judge_leases import JudgeLeases
from collector.evals.judge_process import JudgeProcess
from collector.evals.judgements import Judgements
from collector.evals.tally import Tally
from collector.evals.workshop import Workshop
from collector.model.clock import Clock
from collector.model.money import usd
from collector.model.progress import Progress
from collector.query import run_questions
from collector.query.limits import Reader
from collector.query.listing import RunsWanted
from collector.store.client import Store

_KEPT_SECONDS: Final = 60.0
_PRICED_RUNS: Final = 200  # whose documents a dry run reads; the price of the others follows from theirs


class Claims:
    """What is being judged now, so that a back-fill and what settles do not both pay for it. For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: set[tuple[str, Key]] = set()

    @contextmanager
    def of(self, project: str, keys: Iterable[Key]) -> Iterator[set[Key]]:
        """Those of `keys` that nobody else is at; nobody else gets them in this context."""
        with self._lock:
            mine = {key for key in keys if (project, key) not in self._taken}
            self._taken |= {(project, key) for key in mine}
        try:
            yield mine
        finally:
            with self._lock:
                self._taken -= {(project, key) for key in mine}


class JudgeBench:
    """What judges need of the daemon: models and prices in force, leases, and where what they find is kept."""

    def __init__(
        self,
        judges: Callable[[], Mapping[str, JudgeConfig]],
        catalogue: Callable[[], Catalogue],
        leases: JudgeLeases,
        judgements: Judgements,
    ) -> None:
        self.judges = judges
        self.leases = leases
        self.judgements = judgements
        self.claims = Claims()
        self._catalogue = catalogue
        self._using = threading.Lock()
        self._kept: JudgeProcess | None = None
        self._ending: threading.Timer | None = None

    def process(self) -> JudgeProcess:
        """A process to ask in; the caller closes it."""
        return JudgeProcess(self.judges, self._catalogue, self.leases)

    @contextmanager
    def opened(self) -> Iterator[JudgeProcess]:
        """The process of back-fills, one at a time: kept for a while, as it takes seconds to start."""
        with self._using:
            if self._ending:
                self._ending.cancel()
            self._kept = self._kept or self.process()
            try:
                yield self._kept
            finally:
                self._ending = threading.Timer(_KEPT_SECONDS, self._end)
                self._ending.daemon = True
                self._ending.start()

    def close(self) -> None:
        """End the process of back-fills, whatever it is at."""
        if self._ending:
            self._ending.cancel()
        if self._kept:
            self._kept.close()

    def _end(self) -> None:
        if self._using.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._using.release()


class JudgedDocuments(Documents):
    """Runs judged by models: each judgement is stored, spans and rows, as it comes."""

    def __init__(
        self,
        store: Store,
        evaluators: Sequence[Evaluator],
        project: str,
        batch: str,
        clock: Clock,
        process: JudgeProcess,
        bench: JudgeBench,
        step: Callable[[], None] = lambda: None,
        *,
        again: bool = False,
    ) -> None:
        """`step` is called between judgements; what it raises ends them. `again`: also what was judged meanwhile."""
        super().__init__(store, evaluators, project, batch, clock, Workshop())
        self._process = process
        self._bench = bench
        self._step = step
        self._again = again

    def judge(self, chosen: Chosen, tallies: Mapping[str, Tally]) -> None:
        for part in parts_of(chosen):
            keys = [key_of(runs, self._evaluators[at]) for runs, positions in part for at in positions]
            with self._bench.claims.of(self._project, keys) as mine:
                if left := self._left(part, mine, tallies):
                    self._judge(left, tallies)

    def _left(self, part: Chosen, mine: Container[Key], tallies: Mapping[str, Tally]) -> Chosen:
        """Without what somebody else judges, or has judged since it was chosen."""
        reader = Reader(lambda: self._store, READS)
        known = set() if self._again else judged_before(reader, self._project, [runs[0] for runs, _ in part])
        left = []
        for runs, positions in part:
            kept = [at for at in positions if (key := key_of(runs, self._evaluators[at])) in mine and key not in known]
            for at in set(positions).difference(kept):
                tallies[self._evaluators[at].name].selected -= 1
                tallies[self._evaluators[at].name].known += 1
            if kept:
                left.append((runs, kept))
        return left

    def _judge(self, part: Chosen, tallies: Mapping[str, Tally]) -> None:
        for found in self._process.judge(self._project, self.task(part), self._step):
            self._bench.judgements.deliver(self._store, self._project, found)
            for row in (row for one in found for row in one.rows):
                tallies[row.evaluator].add(row)
            self._step()

    def price(self, chosen: Chosen, prices: "Mapping[str, list[tuple[int | None, int | None]]]") -> None:
        """Add what each judgement would cost. Raises Unavailable."""
        for part in parts_of(chosen):
            for found in self._process.price(self._project, self.task(part)):
                prices[found.evaluator].append(found.price)


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

        what = store, evaluators, window.project, outcome.batch, clock
        documents = JudgedDocuments(*what, process, bench, step, again=window.again)
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
