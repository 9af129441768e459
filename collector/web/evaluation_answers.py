"""The shapes of answers about evaluations, and how they are made."""

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from collector.evals.backfill import Outcome
from collector.evals.evaluator import Evaluator
from collector.evals.tally import Tally
from collector.model.evaluations import EvalKind, Evaluation, Evidence
from collector.model.money import decimal_text
from collector.web.answers import EvalsResult, EvaluatorOutcome, Instant, Next, UnixNano
from collector.web.times import rfc3339


class EvidenceText(TypedDict):
    span_id: str
    field: Annotated[
        str,
        Field(description="A column of the span, `answer` (its text in the run's rounds), or the figure of a bound."),
    ]
    start: Annotated[int, Field(description="First byte.")]
    end: Annotated[int, Field(description="Byte after the last.")]
    sha256: Annotated[str, Field(description="Digest of these bytes.")]


class ReceiptText(TypedDict):
    model: str
    provider: str
    trace_id: str
    span_id: str
    cost: Annotated[str | None, Field(description="USD; null when nothing was asked, or its price is not known.")]
    input_tokens: int
    output_tokens: int
    duration_nanoseconds: int


class EvaluationText(TypedDict):
    id: str
    at: Instant
    at_unix_nano: UnixNano
    trace_id: str
    span_id: Annotated[str, Field(description="Empty for the run as a whole.")]
    target: Literal["span", "run", "conversation", "case"]
    evaluator: str
    kind: Literal["check", "judge", "human", "external"]
    revision: str
    input_hash: str
    batch: str
    vote: int
    status: Literal["ok", "error", "skipped"]
    error_type: str
    verdict: Annotated[Literal["pass", "fail", ""], Field(description="Empty unless `status` is ok.")]
    score: float | None
    label: str
    reason: str
    evidence: Sequence[EvidenceText]
    flags: Sequence[str]
    agreement: float | None
    receipt: ReceiptText
    labeler: str
    case: str
    trial: int
    probability: Annotated[float, Field(description="Of having been sampled.")]
    stale: Annotated[bool, Field(description="Whether spans came after it: it will be judged again.")]
    calibrated: Annotated[
        bool | None,
        Field(
            description="Of a judge, whether people agree with it: 20 labels or more, and a kappa that is surely above "
            "0.4; null of others."
        ),
    ]


class EvaluationsPage(TypedDict):
    evaluations: Sequence[EvaluationText]
    next: Next


class EvaluatorText(TypedDict):
    name: str
    kind: Literal["check", "judge", "human", "external"]
    check: Annotated[str, Field(description="The kind of its check.")]
    on: Literal["span", "run", "conversation", "case"]
    revision: str
    rate: float


class EvaluatorsAnswer(TypedDict):
    evaluators: Sequence[EvaluatorText]


class Added(TypedDict):
    ids: Sequence[str]


def evaluation_json(
    one: Evaluation, last_received: int = 0, uncalibrated: Collection[str] | None = None
) -> EvaluationText:
    """`uncalibrated` are the judges that people have not agreed with; None when that was not asked."""
    receipt = one.receipt
    return EvaluationText(
        id=one.id,
        at=rfc3339(one.at),
        at_unix_nano=str(one.at),
        trace_id=one.trace_id,
        span_id=one.span_id,
        target=one.target.value,
        evaluator=one.evaluator,
        kind=one.kind.value,
        revision=one.revision,
        input_hash=one.input_hash,
        batch=one.batch,
        vote=one.vote,
        status=one.status.value,
        error_type=one.error_type,
        verdict=one.verdict.value,
        score=one.score,
        label=one.label,
        reason=one.reason,
        evidence=[_evidence(cited) for cited in one.evidence],
        flags=one.flags,
        agreement=one.agreement,
        receipt=ReceiptText(
            model=receipt.model,
            provider=receipt.provider,
            trace_id=receipt.trace_id,
            span_id=receipt.span_id,
            cost=None if receipt.cost is None else decimal_text(receipt.cost),
            input_tokens=receipt.input_tokens,
            output_tokens=receipt.output_tokens,
            duration_nanoseconds=receipt.duration_ns,
        ),
        labeler=one.labeler,
        case=one.case,
        trial=one.trial,
        probability=one.probability,
        stale=last_received > one.at,
        calibrated=one.evaluator not in uncalibrated
        if one.kind is EvalKind.JUDGE and uncalibrated is not None
        else None,
    )


def _evidence(cited: Evidence) -> EvidenceText:
    return EvidenceText(span_id=cited.span_id, field=cited.field, start=cited.start, end=cited.end, sha256=cited.sha256)


def evaluator_json(one: Evaluator) -> EvaluatorText:
    return EvaluatorText(
        name=one.name,
        kind=one.kind.value,
        check=one.config.check.kind,
        on=one.target.value,
        revision=one.revision,
        rate=one.config.sample.rate,
    )


def outcome_json(outcome: Outcome, calibrated: Mapping[str, bool] = MappingProxyType({})) -> EvalsResult:
    """`calibrated` says of judges whether people agree with them."""
    found = {name: _tally(tally, calibrated.get(name)) for name, tally in outcome.tallies.items()}
    prices = [tally.price for tally in outcome.tallies.values()]
    return EvalsResult(
        batch=outcome.batch,
        runs=outcome.runs,
        cost=decimal_text(sum((one.spent for one in prices), Decimal(0))),
        price=decimal_text(sum((one.about for one in prices), Decimal(0))),
        max_price=decimal_text(sum((one.most for one in prices), Decimal(0))),
        unpriced=[name for name, tally in outcome.tallies.items() if tally.price.unpriced],
        evaluators=found,
    )


def _tally(tally: Tally, calibrated: bool | None) -> EvaluatorOutcome:
    rows = tally.rows
    return EvaluatorOutcome(
        selected=tally.selected,
        not_drawn=tally.not_drawn,
        not_settled=tally.not_settled,
        known=tally.known,
        passed=rows["pass"],
        failed=rows["fail"],
        ok=rows["ok"],
        errors=rows["error"],
        skipped=rows["skipped"],
        calibrated=calibrated,
    )
