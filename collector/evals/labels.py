"""What people find: a label stands beside the verdicts of the evaluator that it is about, on the same input."""

from dataclasses import dataclass
from typing import Final

from collector.model.evaluations import EvalKind, Evaluation, Target, Verdict
from collector.query.evaluations import EvaluationsWanted, list_evaluations
from collector.query.limits import Reader

_MAX_ROWS: Final = 1000


@dataclass(frozen=True, slots=True)
class Label:
    """What a person says of a run, or of a span of it, about what `evaluator` judges."""

    trace_id: str
    evaluator: str
    verdict: Verdict
    labeler: str
    span_id: str = ""
    reason: str = ""


def labelled(reader: Reader, project: str, label: Label, now: int) -> Evaluation:
    """The row of a label: of the input that the evaluator judged last, whatever its revision. Raises Unavailable.

    Of one person the last label of an input counts.
    """
    wanted = EvaluationsWanted(trace_ids=[label.trace_id], evaluator=label.evaluator, limit=_MAX_ROWS)
    rows = list_evaluations(reader, project, wanted)
    span_id = label.span_id.lower()
    about = next((row for row in rows if row.span_id == span_id and row.kind is not EvalKind.HUMAN), None)
    return Evaluation(
        project=project,
        trace_id=label.trace_id.lower(),
        span_id=span_id,
        target=Target.SPAN if span_id else Target.RUN,
        evaluator=label.evaluator,
        kind=EvalKind.HUMAN,
        input_hash=about.input_hash if about else "",
        batch=f"label-{label.labeler}",
        at=now,
        verdict=label.verdict,
        score=float(label.verdict is Verdict.PASS),
        score_min=0.0,
        score_max=1.0,
        reason=label.reason,
        labeler=label.labeler,
        conversation_id=about.conversation_id if about else "",
        release=about.release if about else "",
        probability=about.probability if about else 1.0,
        agent=about.agent if about else "",
        feature=about.feature if about else "",
        model=about.model if about else "",
    )
