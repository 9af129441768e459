"""Questions about evaluations, within one project."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from collector.model.evaluation_rows import evaluations_of
from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Verdict
from collector.query.limits import Reader
from collector.store.sql import named_query

_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EvaluationsWanted:
    """Which evaluations; what is empty or None does not narrow them further. Times are Unix nanoseconds.

    `current` leaves out votes, and those that a later one of the same evaluator replaced. `after` is the time and id of
    the last one of the page before.
    """

    trace_ids: Sequence[str] = ()
    evaluator: str = ""
    verdict: Verdict | None = None
    status: EvalStatus | None = None
    kind: EvalKind | None = None
    batch: str = ""
    since: int = 0
    until: int = _MAX
    current: bool = True
    limit: int = 100
    after: tuple[int, str] | None = None


def list_evaluations(store: Reader, project: str, wanted: EvaluationsWanted) -> list[Evaluation]:
    """A page of evaluations, the newest first. Raises Unavailable, Rejected(TOO_LARGE)."""
    at, after_id = wanted.after or (_MAX, "")
    parameters = {
        "project": project,
        "trace_ids": [trace_id.lower() for trace_id in wanted.trace_ids],
        "evaluator": wanted.evaluator,
        "verdict": wanted.verdict or "",
        "status": wanted.status or "",
        "kind": wanted.kind or "",
        "batch": wanted.batch,
        "since": wanted.since,
        "until": wanted.until,
        "current": int(wanted.current),
        "limit": wanted.limit,
        "after": at,
        "after_id": after_id,
    }
    return list(evaluations_of(store.query(named_query("evaluations_page"), parameters)))


def label_counts(store: Reader, project: str, evaluators: Sequence[str]) -> Mapping[str, int]:
    """How many labels each of these evaluators has; those without any are not there."""
    asked = {"project": project, "evaluators": list(evaluators)}
    rows = store.query(named_query("evaluations_labels"), asked).to_pylist()
    return {row["Evaluator"]: row["Labels"] for row in rows}


def verdict_weights(store: Reader, project: str, evaluator: str) -> Mapping[Verdict, float]:
    """How often an evaluator's newest revision gives each verdict, by the inverse of the sampling's probability."""
    rows = store.query(named_query("evaluations_verdicts"), {"project": project, "evaluator": evaluator}).to_pylist()
    return {Verdict(row["Verdict"]): float(row["Weight"]) for row in rows}
