"""Evaluators over stored runs, page by page: what was judged before, as it is now, is not judged again."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from collector.config import ReadsConfig
from collector.evals import by_columns
from collector.evals.conversations import Together, conversations_of, hash_of, is_of_conversations
from collector.evals.deciding import deciding
from collector.evals.evaluate import About
from collector.evals.evaluator import Evaluator
from collector.evals.select import is_drawn, is_selected
from collector.evals.tally import Tally
from collector.evals.workshop import Task, Workshop
from collector.judge.client import CallFault
from collector.judge.judge import JudgeError
from collector.model.clock import Clock
from collector.model.evaluation_rows import TABLE, rows_of
from collector.model.evaluations import Evaluation, Skip, digest_of
from collector.model.progress import Progress
from collector.query import run_questions
from collector.query.limits import Reader
from collector.query.listing import RunsWanted
from collector.query.run_filter import HOUR_NS, RunFilter
from collector.query.run_rows import RunRow
from collector.store.client import Store
from collector.store.sql import named_query
from collector.store.tables import EVALUATIONS

PAGE: Final = 500
_SPANS_OF_TASK: Final = 5_000
MAX_SPANS: Final = 100_000
_MAX_HOURS: Final = 2_000
_SECOND: Final = 1_000_000_000
READS: Final = ReadsConfig(max_execution_time="600s", max_memory_usage="1GiB")  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Window:
    """Runs of a project that began in [since, until), Unix nanoseconds. `again`: also those that were judged before."""

    project: str
    since: int
    until: int
    again: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a back-fill came to: `runs` were looked at, and what came of them by evaluator."""

    batch: str
    runs: int
    tallies: dict[str, Tally]


# Why a judge gave no verdict that say nothing of what is judged: asked again, it may give one.
PASSING: Final = [
    Skip.BUDGET.value,
    Skip.UNPRICED.value,
    *(fault.value for fault in CallFault if fault not in {CallFault.CONTEXT, CallFault.REQUEST}),
    JudgeError.CONFIG.value,
]

Chosen = Sequence[tuple[Together, Sequence[int]]]
Key = tuple[str, str, str, str]


def backfill(
    store: Store,
    evaluators: Sequence[Evaluator],
    window: Window,
    clock: Clock,
    progress: Progress,
    workshop: Workshop,
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
        _by_columns(store, reader, one, window, outcome, clock.time_ns(), dry_run=dry_run)
        progress(0, total)
    others = [one for one in decided if not by_columns.needs_columns_only(one)]
    documents = Documents(store, others, window.project, outcome.batch, clock, workshop)
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
    store: Store, reader: Reader, one: Evaluator, window: Window, outcome: Outcome, now: int, *, dry_run: bool
) -> None:
    """Judge by one statement, and count what came of it."""
    period = RunFilter(window.since, window.until, folded=False)
    tally = outcome.tallies[one.name]
    counts = by_columns.count(reader, one, window.project, period, now, again=window.again)
    tally.selected, tally.known = counts["Selected"], counts["KnownRuns"]
    tally.not_drawn, tally.not_settled = counts["NotDrawn"], counts["NotSettled"]
    if dry_run:
        return
    by_columns.judge(store, reader, one, window.project, period, now, outcome.batch, again=window.again)
    parameters = {"project": window.project, "evaluator": one.name, "batch": outcome.batch}
    for row in reader.query(named_query("evals_of_batch"), parameters).to_pylist():
        tally.rows[row["Found"]] += row["Rows"]


def pages_of(reader: Reader, project: str, wanted: RunsWanted) -> Iterator[Sequence[RunRow]]:
    """Page after page of the runs that are asked for. Raises Unavailable."""
    while True:
        page = run_questions.search(reader, project, wanted)
        if page.runs:
            yield page.runs
        if page.next is None:
            return
        wanted = replace(wanted, after=page.next)


def choose(
    reader: Reader,
    evaluators: Sequence[Evaluator],
    window: Window,
    runs: Sequence[RunRow],
    tallies: Mapping[str, Tally],
    now: int,
    seen: set[str] | None = None,
) -> Chosen:
    """The runs, and conversations of them, that evaluators look at, each with the positions of these evaluators; the
    others are counted. Conversations that are `seen` already are left out, and those here are added to them.
    """
    whole = [[run] for run in runs]
    chosen = _chosen(reader, evaluators, window, whole, tallies, now, conversations=False)
    if any(map(is_of_conversations, evaluators)):
        known = set() if seen is None else seen
        new = [run for run in runs if run.conversation_id not in known]
        known |= {run.conversation_id for run in new} - {""}
        found = conversations_of(reader, window.project, new)
        chosen += _chosen(reader, evaluators, window, found, tallies, now, conversations=True)
    return chosen


def _chosen(
    reader: Reader,
    evaluators: Sequence[Evaluator],
    window: Window,
    all_of_them: Sequence[Together],
    tallies: Mapping[str, Tally],
    now: int,
    *,
    conversations: bool,
) -> list[tuple[Together, Sequence[int]]]:
    known = set() if window.again else judged_before(reader, window.project, [runs[0] for runs in all_of_them])
    chosen: list[tuple[Together, Sequence[int]]] = []
    for runs in all_of_them:
        received = max(run.last_received for run in runs)
        took = []
        for at, one in enumerate(evaluators):
            if is_of_conversations(one) != conversations:
                continue
            tally = tallies[one.name]
            if not any(is_selected(one.config.select, run) for run in runs):
                continue
            if not is_drawn(one.config.sample, runs[0], together=conversations):
                tally.not_drawn += 1
            elif received > now - one.config.settle * _SECOND:
                tally.not_settled += 1
            elif key_of(runs, one) in known:
                tally.known += 1
            else:
                tally.selected += 1
                took.append(at)
        if took:
            chosen.append((runs, took))
    return chosen


def key_of(runs: Together, evaluator: Evaluator) -> Key:
    """Of what an evaluator judges: a run, or those of a conversation, as they are now, by this revision."""
    return runs[0].trace_id, evaluator.name, evaluator.revision, hash_of(runs)


def judged_before(reader: Reader, project: str, runs: Sequence[RunRow]) -> set[Key]:
    """What was judged of some runs, as they were then. Raises Unavailable."""
    parameters = {"project": project, "trace_ids": [run.trace_id for run in runs], "passing": PASSING}
    rows = reader.query(named_query("evals_judged"), parameters).to_pylist()
    return {(row["TraceId"], row["Evaluator"], row["Revision"], row["InputHash"]) for row in rows}


class Documents:
    """Runs judged by their documents: while the process is at some, the next are read and the last are stored."""

    def __init__(
        self,
        store: Store,
        evaluators: Sequence[Evaluator],
        project: str,
        batch: str,
        clock: Clock,
        workshop: Workshop,
    ) -> None:
        self._store = store
        self._evaluators = evaluators
        self._project = project
        self._batch = batch
        self._clock = clock
        self._workshop = workshop
        self._under_way: Future[Sequence[Evaluation]] | None = None

    def judge(self, chosen: Chosen, tallies: Mapping[str, Tally]) -> None:
        """Have runs judged; the rows of those before are stored. Raises Unavailable."""
        for part in parts_of(chosen):
            task = self.task(part)
            self.finish(tallies)
            self._under_way = self._workshop.judge(task)

    def finish(self, tallies: Mapping[str, Tally]) -> None:
        """Wait for what is under way, and store it. Raises Unavailable."""
        if self._under_way is None:
            return
        found = self._workshop.result(self._under_way)
        self._under_way = None
        insert(self._store, found)
        for one in found:
            tallies[one.evaluator].add(one)

    def task(self, part: Chosen) -> Task:
        """What is to be done with some runs, their spans included. Raises Unavailable."""
        hours = [(hour, run.trace_id) for runs, _ in part for run in runs for hour in _hours(run)]
        parameters = {
            "project": self._project,
            "hours": [hour for hour, _ in hours],
            "trace_ids": [trace_id for _, trace_id in hours],
            "limit": MAX_SPANS,
        }
        spans = self._store.query(named_query("evals_documents"), parameters)
        stream = pa.BufferOutputStream()
        with pa.ipc.new_stream(stream, spans.schema) as writer:
            writer.write_table(spans)
        now = self._clock.time_ns()
        runs = [(self._about(together, now), positions) for together, positions in part]
        return Task(stream.getvalue().to_pybytes(), self._evaluators, runs)

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


def insert(store: Store, found: Sequence[Evaluation]) -> None:
    """Add rows; again, it adds none. Raises Unavailable."""
    if found:
        token = digest_of("\n".join(f"{one.id} {one.at}" for one in found).encode())
        store.insert(TABLE, [rows_of(found)], f"{EVALUATIONS.token_prefix}{token}")


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
