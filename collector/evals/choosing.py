"""Which runs evaluators look at: what was judged before, as it is now, is not judged again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from collector.config import ReadsConfig
from collector.evals.conversations import Together, conversations_of, hash_of, is_of_conversations
from collector.evals.evaluator import Evaluator
from collector.evals.select import is_drawn, is_selected
from collector.evals.tally import Tally
from collector.judge.client import CallFault
from collector.judge.judge import JudgeError
from collector.model.evaluations import Skip
from collector.query import run_questions
from collector.query.limits import Reader
from collector.query.listing import RunsWanted
from collector.query.run_rows import RunRow
from collector.store.sql import named_query

PAGE: Final = 500
READS: Final = ReadsConfig(max_execution_time="600s", max_memory_usage="1GiB")  # type: ignore[arg-type]
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Window:
    """Runs of a project that began in [since, until), Unix nanoseconds. `again`: also those that were judged before."""

    project: str
    since: int
    until: int
    again: bool = False


# Why a judge gave no verdict that say nothing of what is judged: asked again, it may give one.
PASSING: Final = [
    Skip.BUDGET.value,
    Skip.UNPRICED.value,
    *(fault.value for fault in CallFault if fault not in {CallFault.CONTEXT, CallFault.REQUEST}),
    JudgeError.CONFIG.value,
]

Chosen = Sequence[tuple[Together, Sequence[int]]]
Key = tuple[str, str, str, str]


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
