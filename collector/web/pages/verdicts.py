"""What evaluators found, as the pages of a run and of a span show it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from collector.model.evaluations import EvalKind, EvalStatus, Evaluation
from collector.query.evaluations import EvaluationsWanted
from collector.web.pages import formats
from collector.web.pages.page import Asked

_MAX: Final = 5000
_CLASSES: Final = {"pass": "ok", "fail": "error", "error": "warn"}


def found_of(asked: Asked, trace_id: str) -> Sequence[Evaluation]:
    """What counts of a run and its spans, by evaluator; what judges found that nobody has calibrated is flagged so."""
    wanted = EvaluationsWanted(trace_ids=[trace_id], limit=_MAX)
    services, who = asked.services, asked.principal
    stored = services.query.evaluations(who, wanted)
    doubted = services.calibrations.uncalibrated_in(services.query, who, stored)
    found = [_doubted(one) if one.kind is EvalKind.JUDGE and one.evaluator in doubted else one for one in stored]
    return sorted(found, key=lambda one: (one.evaluator, one.kind == EvalKind.HUMAN, one.span_id))


def _doubted(one: Evaluation) -> Evaluation:
    return replace(one, flags=(*one.flags, "uncalibrated judge"))


def of_run(found: Sequence[Evaluation], received: int) -> list[dict[str, str]]:
    """Those of the run itself; those of its spans as numbers."""
    shown = [_shown(one, received) for one in found if not one.span_id]
    for name in sorted({one.evaluator for one in found if one.span_id}):
        counts = Counter(_word(one) for one in found if one.span_id and one.evaluator == name)
        worst = next(word for word in ("fail", "error", "pass", *counts) if counts[word])
        told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
        shown.append(
            {
                "class": _CLASSES.get(worst, ""),
                "word": worst,
                "evaluator": name,
                "score": "",
                "reason": f"Of spans: {told}.",
                "note": "",
            }
        )
    return shown


def of_span(found: Sequence[Evaluation], span_id: str, received: int) -> list[dict[str, str]]:
    """Those of one span."""
    return [_shown(one, received) for one in found if one.span_id == span_id]


def _shown(one: Evaluation, received: int) -> dict[str, str]:
    notes = [
        "by a person" if one.kind is EvalKind.HUMAN else "",
        f"judged by {one.receipt.model}" if one.receipt.model else "",
        f"for {formats.money(one.receipt.cost)}" if one.receipt.cost is not None else "",
        "stale: spans came after it" if received > one.at else "",
        *one.flags,
    ]
    return {
        "class": _CLASSES.get(_word(one), ""),
        "word": _word(one),
        "evaluator": one.evaluator,
        "score": "" if one.score is None else f"{one.score:.3g}",
        "reason": one.reason or one.error_type,
        "note": ", ".join(filter(None, notes)),
    }


def _word(one: Evaluation) -> str:
    if one.status is not EvalStatus.OK:
        return one.status.value
    return one.verdict.value or one.label or "scored"
