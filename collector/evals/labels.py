"""What people found: labels of a run or span, for an evaluator by name. A new rubric is held to old labels at once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from collector.errors import Reason, Rejected
from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Receipt, Verdict
from collector.stats.agreement import (
    Kappa,
    Rates,
    Stratum,
    corrected_rate,
    kappa,
    krippendorff_alpha,
    weighted_kappa_interval,
    weighted_pass_rate_interval,
    weighted_rates,
)
from collector.stats.intervals import Interval
from collector.stats.paired import seed_of

MIN_LABELS: Final = 20
MIN_KAPPA: Final = 0.4  # that the interval of kappa has to lie above
MAX_DISAGREEMENTS: Final = 50


class Given(NamedTuple):
    """A label as a person gives it."""

    verdict: Verdict
    reason: str
    labeler: str


class Disagreement(NamedTuple):
    """A verdict that people do not share."""

    trace_id: str
    span_id: str
    judged: Verdict
    judge_reason: str
    labelled: Verdict
    label_reason: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far an evaluator can be trusted. `confusion` is by (verdict, label).

    `naive` is of the labels as they are; `weighted` as production has the verdicts, which counts when labels were drawn
    for passes and fails apart. `alpha` is of people among themselves: no judge can be held to more. Rates are None
    without labels.
    """

    evaluator: str
    revision: str
    labels: int
    confusion: Mapping[tuple[Verdict, Verdict], int]
    naive: Kappa | None
    weighted: Rates | None
    weighted_interval: Interval | None
    observed: float | None
    corrected: float | None
    corrected_interval: Interval | None
    labelers: int
    alpha: float | None
    disagreements: Sequence[Disagreement]

    @property
    def calibrated(self) -> bool:
        """Whether its numbers may be believed: 20 labels, and a kappa that is surely above 0.4."""
        return (
            self.labels >= MIN_LABELS and self.weighted_interval is not None and self.weighted_interval.low > MIN_KAPPA
        )


def newest(found: Iterable[Evaluation], span_id: str) -> Evaluation | None:
    """The newest verdict of an evaluator on a run, or on its span."""
    judged = [one for one in found if one.span_id == span_id and one.kind is not EvalKind.HUMAN and one.vote == 0]
    return max(judged, key=lambda one: one.at, default=None)


def label_of(judged: Evaluation, given: Given, now: int) -> Evaluation:
    """The row of a label: about the same input, of no revision. A labeler's newest label of it counts."""
    return replace(
        judged,
        kind=EvalKind.HUMAN,
        revision="",
        batch=f"label-{now}-{given.labeler}",
        vote=0,
        at=now,
        status=EvalStatus.OK,
        error_type="",
        verdict=given.verdict,
        score=None,
        score_min=None,
        score_max=None,
        label="",
        reason=given.reason,
        evidence=(),
        flags=(),
        agreement=None,
        receipt=Receipt(),
        labeler=given.labeler,
        probability=1.0,
    )


def agreement_of(
    evaluator: str, judged: Iterable[Evaluation], labels: Iterable[Evaluation], verdicts: Mapping[Verdict, float]
) -> Agreement:
    """The report. `judged` are an evaluator's verdicts, of which those of the newest revision count; `verdicts` are how
    often it gives each, by weight. Raises Rejected(NOT_FOUND) without verdicts.
    """
    counting = [one for one in judged if one.vote == 0 and one.verdict is not Verdict.NONE]
    if not counting:
        raise Rejected(Reason.NOT_FOUND, f"{evaluator} has no verdicts on what people labelled; label some first.")
    revision = max(counting, key=lambda one: one.at).revision
    by_input = {_input(one): one for one in sorted(counting, key=lambda one: one.at) if one.revision == revision}
    said: dict[tuple[str, str, str], list[Evaluation]] = {}
    for label in _latest(labels):
        said.setdefault(_input(label), []).append(label)
    pairs = [
        (by_input[place], agreed)
        for place, given in said.items()
        if place in by_input and (agreed := _consensus(given))
    ]
    confusion = Counter((one.verdict, label.verdict) for one, label in pairs)
    return _report(evaluator, revision, pairs, confusion, list(said.values()), verdicts)


def _input(one: Evaluation) -> tuple[str, str, str]:
    return one.trace_id, one.span_id, one.input_hash


def _latest(labels: Iterable[Evaluation]) -> Iterable[Evaluation]:
    """Of each input and labeler the newest label."""
    given = [one for one in labels if one.kind is EvalKind.HUMAN and one.verdict is not Verdict.NONE]
    return {(_input(one), one.labeler): one for one in sorted(given, key=lambda one: one.at)}.values()


def _consensus(given: Sequence[Evaluation]) -> Evaluation | None:
    """A label with the verdict of most people; None where they are split."""
    passed = sum(one.verdict is Verdict.PASS for one in given)
    if 2 * passed == len(given):
        return None
    verdict = Verdict.PASS if 2 * passed > len(given) else Verdict.FAIL
    return next(one for one in given if one.verdict is verdict)


def _report(
    evaluator: str,
    revision: str,
    pairs: Sequence[tuple[Evaluation, Evaluation]],
    confusion: Mapping[tuple[Verdict, Verdict], int],
    said: Sequence[Sequence[Evaluation]],
    verdicts: Mapping[Verdict, float],
) -> Agreement:
    good, bad = Verdict.PASS, Verdict.FAIL
    table = [[confusion.get((row, column), 0) for column in (good, bad)] for row in (good, bad)]
    total = sum(verdicts.values())
    shares = [verdicts.get(row, 0.0) / total if total else 0.0 for row in (good, bad)]
    passes, fails = (Stratum(row[0], row[1], share) for row, share in zip(table, shares, strict=True))
    seed = seed_of([evaluator])
    people = {label.labeler for given in said for label in given}
    rates = weighted_rates(passes, fails) if pairs else None
    observed = shares[0] if total else None
    alpha = krippendorff_alpha([[one.verdict for one in given] for given in said]) if len(people) > 1 else None
    return Agreement(
        evaluator=evaluator,
        revision=revision,
        labels=len(pairs),
        confusion=confusion,
        naive=kappa(table) if pairs else None,
        weighted=rates,
        weighted_interval=weighted_kappa_interval(passes, fails, seed) if pairs else None,
        observed=observed,
        corrected=corrected_rate(observed, rates.sensitivity, rates.specificity)
        if rates and observed is not None
        else None,
        corrected_interval=weighted_pass_rate_interval(passes, fails, total, seed) if pairs else None,
        labelers=len(people),
        alpha=alpha,
        disagreements=[_disagreement(*pair) for pair in pairs if pair[0].verdict is not pair[1].verdict][
            :MAX_DISAGREEMENTS
        ],
    )


def _disagreement(judged: Evaluation, label: Evaluation) -> Disagreement:
    return Disagreement(judged.trace_id, judged.span_id, judged.verdict, judged.reason, label.verdict, label.reason)
