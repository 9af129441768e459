"""Handlers of labels, and of how far an evaluator agrees with them."""

import asyncio
import math
import time
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.errors import Reason, Rejected
from collector.evals.calibration import agreement_with
from collector.evals.labels import Agreement, Given, label_of, newest
from collector.model.evaluations import Evaluation, Verdict
from collector.model.principal import Principal
from collector.query.evaluations import EvaluationsWanted
from collector.stats.intervals import Interval
from collector.web.evaluation_answers import EvaluationText, evaluation_json
from collector.web.operation import Call, Input, Result, Services, answer

_MAX_LABELS: Final = 20_000


class LabelInput(Input):
    """What a person found of a run or span."""

    trace_id: str = Field(description="The run.", pattern="^[0-9A-Fa-f]{32}$")
    span_id: str = Field("", description="The span; empty for the run.", pattern="^([0-9A-Fa-f]{16})?$")
    evaluator: str = Field(description="Whose question it answers.", min_length=1, max_length=200)
    verdict: Literal["pass", "fail"] = Field(description="The verdict.")
    reason: str = Field("", description="Why, in a sentence.", max_length=20_000)
    labeler: str = Field("", description="Who found it; default: the name of the token.", max_length=200)


class LabelAnswer(TypedDict):
    label: EvaluationText


class EvaluatorPath(Input):
    name: str = Field(description="Name of the evaluator.", max_length=200)


Ends = Annotated[tuple[float, float] | None, Field(description="With a probability of 0.95.")]


class DisagreementText(TypedDict):
    trace_id: str
    span_id: str
    judged: Literal["pass", "fail", ""]
    judge_reason: str
    labelled: Literal["pass", "fail", ""]
    label_reason: str


class AgreementText(TypedDict):
    evaluator: str
    revision: str
    calibrated: Annotated[
        bool, Field(description="Whether it has 20 labels or more, and a kappa that is surely above 0.4.")
    ]
    labels: Annotated[int, Field(description="Verdicts of the newest revision that people labelled.")]
    labelers: int
    judged_pass: Annotated[tuple[int, int], Field(description="Of its passes: how many people pass, and fail.")]
    judged_fail: Annotated[tuple[int, int], Field(description="Of its fails, likewise.")]
    kappa_of_labels: Annotated[float | None, Field(description="Of the labels as they are.")]
    kappa_of_labels_interval: Ends
    kappa: Annotated[float | None, Field(description="Weighted back to how often it passes and fails.")]
    kappa_interval: Ends
    raw_agreement: float | None
    sensitivity: Annotated[float | None, Field(description="Of what people pass, the share it passes; weighted back.")]
    specificity: Annotated[float | None, Field(description="Of what people fail, the share it fails; weighted back.")]
    pass_rate: Annotated[float | None, Field(description="As it judges.")]
    corrected_pass_rate: Annotated[float | None, Field(description="As people would; null where it cannot be told.")]
    corrected_pass_rate_interval: Ends
    alpha: Annotated[float | None, Field(description="Krippendorff's, of people among themselves.")]
    disagreements: Sequence[DisagreementText]


async def add_label(services: Services, call: Call[None, None, LabelInput]) -> Result:
    label = await asyncio.to_thread(store_label, services, call.principal, call.body)
    return answer(LabelAnswer(label=evaluation_json(label)), 201)


def store_label(services: Services, principal: Principal, body: LabelInput) -> Evaluation:
    """Store what a person found. Raises Rejected(NOT_FOUND) for what was not judged yet, Unavailable."""
    trace_id, span_id = body.trace_id.lower(), body.span_id.lower()
    wanted = EvaluationsWanted(trace_ids=[trace_id], evaluator=body.evaluator, current=False, limit=_MAX_LABELS)
    judged = newest(services.query.evaluations(principal, wanted), span_id)
    if judged is None:
        what = f"span {span_id} of run {trace_id}" if span_id else f"run {trace_id}"
        raise Rejected(Reason.NOT_FOUND, f"{body.evaluator[:100]!r} has found nothing of {what}; judge it first.")
    if services.evals is None:
        raise Rejected(Reason.NOT_FOUND, "This daemon does not judge.")
    given = Given(Verdict(body.verdict), body.reason, body.labeler or principal.name)
    label = label_of(judged, given, time.time_ns())
    services.evals.add([label])
    return label


async def agreement(services: Services, call: Call[EvaluatorPath, None, None]) -> Result:
    found = await asyncio.to_thread(agreement_with, services.query, call.principal, call.path.name)
    return answer(agreement_json(found))


def agreement_json(found: Agreement) -> AgreementText:
    """As REST and the command line have it."""
    table = {place: found.confusion.get(place, 0) for place in ((a, b) for a in _SIDES for b in _SIDES)}
    rates, naive = found.weighted, found.naive
    return AgreementText(
        evaluator=found.evaluator,
        revision=found.revision,
        calibrated=found.calibrated,
        labels=found.labels,
        labelers=found.labelers,
        judged_pass=(table[Verdict.PASS, Verdict.PASS], table[Verdict.PASS, Verdict.FAIL]),
        judged_fail=(table[Verdict.FAIL, Verdict.PASS], table[Verdict.FAIL, Verdict.FAIL]),
        kappa_of_labels=_known(naive.value if naive else None),
        kappa_of_labels_interval=_ends(naive.interval if naive else None),
        kappa=_known(rates.kappa if rates else None),
        kappa_interval=_ends(found.weighted_interval),
        raw_agreement=_known(rates.raw if rates else None),
        sensitivity=_known(rates.sensitivity if rates else None),
        specificity=_known(rates.specificity if rates else None),
        pass_rate=found.observed,
        corrected_pass_rate=_known(found.corrected),
        corrected_pass_rate_interval=_ends(found.corrected_interval),
        alpha=_known(found.alpha),
        disagreements=[
            DisagreementText(
                trace_id=one.trace_id,
                span_id=one.span_id,
                judged=one.judged.value,
                judge_reason=one.judge_reason,
                labelled=one.labelled.value,
                label_reason=one.label_reason,
            )
            for one in found.disagreements
        ],
    )


_SIDES: Final = (Verdict.PASS, Verdict.FAIL)


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _ends(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None or any(map(math.isnan, interval)) else (interval.low, interval.high)
