"""What evaluators found, as the pages of a run and of a span show it."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Target
from collector.model.principal import Scope
from collector.query.evaluations import EvaluationsWanted
from collector.web.pages import formats
from collector.web.pages.page import Asked

_MAX: Final = 5000
UNCALIBRATED: Final = "uncalibrated: fewer than 20 labels, or people do not agree with it"
_ORDER: Final = ("error", "warn", "ok", "")  # of classes: what needs a look first
_CLASSES: Final = {"pass": "ok", "fail": "error", "error": "warn"}


def found_of(asked: Asked, trace_id: str) -> Sequence[Evaluation]:
    """What counts of a run and its spans, by evaluator."""
    wanted = EvaluationsWanted(trace_ids=[trace_id], limit=_MAX)
    found = asked.services.query.evaluations(asked.principal, wanted)
    return sorted(found, key=lambda one: (one.evaluator, one.kind == EvalKind.HUMAN, one.span_id))


def doubted_of(asked: Asked, found: Sequence[Evaluation]) -> Collection[str]:
    """The judges among them that people have not agreed with."""
    return asked.services.calibration.uncalibrated(asked.services.query, asked.principal, found)


def labels_of(asked: Asked, found: Sequence[Evaluation], span_id: str = "") -> Sequence[str]:
    """The evaluators whose verdicts the reader may label: of the run, or of a span."""
    if asked.services.evals is None or not asked.principal.may(Scope.EVALS_WRITE):
        return ()
    return sorted({one.evaluator for one in found if one.span_id == span_id and one.kind is not EvalKind.HUMAN})


def of_run(found: Sequence[Evaluation], received: int, doubted: Collection[str] = ()) -> list[dict[str, str]]:
    """Those of the run itself; those of its spans as numbers."""
    shown = [_shown(one, received, doubted) for one in found if not one.span_id]
    for name in sorted({one.evaluator for one in found if one.span_id}):
        counts = Counter(word_of(one) for one in found if one.span_id and one.evaluator == name)
        worst = next(word for word in ("fail", "error", "pass", *counts) if counts[word])
        told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
        shown.append(
            {
                "class": _CLASSES.get(worst, ""),
                "word": worst,
                "evaluator": name,
                "score": "",
                "reason": f"Of spans: {told}.",
                "note": UNCALIBRATED if name in doubted else "",
                "doubted": name if name in doubted else "",
            }
        )
    return sorted(shown, key=lambda one: _ORDER.index(one["class"]))


def of_span(
    found: Sequence[Evaluation], span_id: str, received: int, doubted: Collection[str] = ()
) -> list[dict[str, str]]:
    """Those of one span."""
    return [_shown(one, received, doubted) for one in found if one.span_id == span_id]


def _shown(one: Evaluation, received: int, doubted: Collection[str]) -> dict[str, str]:
    notes = [
        UNCALIBRATED if one.kind is EvalKind.JUDGE and one.evaluator in doubted else "",
        f"by {one.labeler or 'a person'}" if one.kind is EvalKind.HUMAN else "",
        "of the whole conversation" if one.target is Target.CONVERSATION else "",
        f"judged by {one.receipt.model}" if one.receipt.model else "",
        f"for {formats.money(one.receipt.cost)}" if one.receipt.cost is not None else "",
        "stale: spans came after it" if received > one.at else "",
        *one.flags,
    ]
    is_doubted = one.kind is EvalKind.JUDGE and one.evaluator in doubted
    return {
        "doubted": one.evaluator if is_doubted else "",
        "class": _CLASSES.get(word_of(one), ""),
        "word": word_of(one),
        "evaluator": one.evaluator,
        "score": score_of(one),
        "reason": one.reason or one.error_type,
        "note": ", ".join(filter(None, notes)),
    }


def score_of(one: Evaluation) -> str:
    return "" if one.score is None else f"{one.score:.3g}"


def word_of(one: Evaluation) -> str:
    """The verdict, else why there is none."""
    if one.status is not EvalStatus.OK:
        return one.status.value
    return one.verdict.value or one.label or "scored"
