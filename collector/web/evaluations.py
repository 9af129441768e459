"""Handlers of evaluations and evaluators."""

import asyncio
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError
from typing_extensions import TypedDict

from collector.config.evaluators import EvaluatorFile
from collector.config.load import sentences
from collector.errors import Reason, Rejected
from collector.evals.choosing import Window
from collector.evals.deciding import COMMAND
from collector.evals.evaluator import Evaluator
from collector.evals.service import EvalService
from collector.exports.evaluations import evaluation_records
from collector.exports.otlp_json import otlp_json
from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Receipt, Target, Verdict
from collector.model.principal import Principal, Scope
from collector.model.progress import Progress
from collector.query.evaluations import EvaluationsWanted
from collector.web.answers import JobAnswer
from collector.web.cursors import MarkedPage
from collector.web.evaluation_answers import (
    Added,
    EvaluationsPage,
    EvaluatorsAnswer,
    evaluation_json,
    evaluator_json,
    outcome_json,
)
from collector.web.inputs import Instant, Switch, Text, one_of
from collector.web.jobs import job_json
from collector.web.operation import Call, Input, Result, Services, answer

PROTOBUF: Final = "application/x-protobuf"
_MAX_ADDED: Final = 1000
_MAX_EVALUATORS: Final = 100
_TRACE_ID: Final = "^[0-9A-Fa-f]{32}$"
_SPAN_ID: Final = "^([0-9A-Fa-f]{16})?$"


class Format(StrEnum):
    """What evaluations are answered as."""

    JSON = "json"
    OTLP = "otlp"


class OtlpLogs(TypedDict, total=False):
    """A request of OTLP in its JSON encoding; empty without any evaluation."""

    resourceLogs: Annotated[list[dict[str, Any]], Field(description="As the protocol has them.")]


def _tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


class EvaluationsQuery(MarkedPage):
    """Which evaluations."""

    trace_id: Text = Field(None, description="Of this run and its spans.")
    evaluator: Text = Field(None, description="Of this evaluator.")
    verdict: Annotated[Verdict | None, one_of(Verdict)] = Field(None, description="pass or fail.")
    status: Annotated[EvalStatus | None, one_of(EvalStatus)] = Field(None, description="ok, error or skipped.")
    kind: Annotated[EvalKind | None, one_of(EvalKind)] = Field(None, description="Who found it.")
    batch: Text = Field(None, description="Of this batch: online, or the id of a back-fill, gate or label.")
    since: Instant | None = Field(None, description="Found from this time on.")
    until: Instant | None = Field(None, description="Found before this time.")
    all: Switch = Field(False, description="Also votes, and those that later ones replaced.")
    format: Annotated[Format, one_of(Format)] = Field(
        Format.JSON,
        description="`otlp`: the request of log records (`gen_ai.evaluation.result`) that would store them again, in "
        "JSON or, as `Accept` says, protobuf; the header `spanmeter-next` has `next`.",
    )

    def wanted(self) -> EvaluationsWanted:
        """Raises Rejected(MALFORMED) for the `next` of another list."""
        after = self.position()
        return EvaluationsWanted(
            trace_ids=[self.trace_id] if self.trace_id else (),
            evaluator=self.evaluator or "",
            verdict=self.verdict,
            status=self.status,
            kind=self.kind,
            batch=self.batch or "",
            since=self.since or 0,
            until=2**63 - 1 if self.until is None else self.until,
            current=not self.all,
            limit=self.limit + 1,
            after=(after.value, after.name) if after else None,
        )


class GivenEvaluation(Input):
    """What someone or something else found."""

    trace_id: str = Field(description="The run.", pattern=_TRACE_ID)
    span_id: str = Field("", description="The span; empty for the run.", pattern=_SPAN_ID)
    evaluator: str = Field(description="Name of the evaluator.", min_length=1, max_length=200)
    revision: str = Field("", description="Of the evaluator, where it has versions.", max_length=200)
    verdict: Literal["pass", "fail", ""] = Field("", description="The verdict, where there is one.")
    score: float | None = Field(None, description="The score, where there is one.", allow_inf_nan=False)
    label: str = Field("", description="The word that was chosen.", max_length=200)
    reason: str = Field("", description="Why, in a sentence.", max_length=20_000)
    error_type: str = Field("", description="Why there is no verdict: it failed.", max_length=200)
    batch: str = Field("", description="What it belongs to; default: the time it came.", max_length=200)
    case: str = Field("", description="Case of a test set.", max_length=1000)
    trial: int = Field(0, description="Which run of that case.", ge=0, le=65_535)
    model: str = Field("", description="Model that judged.", max_length=200)


class AddInput(Input):
    evaluations: Annotated[tuple[GivenEvaluation, ...], BeforeValidator(_tuple)] = Field(
        description="At most 1,000.", min_length=1, max_length=_MAX_ADDED
    )


class RunEvaluatorsInput(Input):
    """Which evaluators judge which runs."""

    evaluators: Annotated[tuple[str, ...], BeforeValidator(_tuple)] = Field(
        (), description="Names of those in the settings; all without any."
    )
    definitions: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_tuple)] = Field(
        (), description="Evaluators as a file of them has them, in place of those.", max_length=_MAX_EVALUATORS
    )
    since: Instant = Field(description="Runs that began from this time on.", examples=["2026-11-01T00:00:00Z"])
    until: Instant | None = Field(None, description="Runs that began before this time; default: all later ones.")
    again: bool = Field(False, description="Also runs that were judged before and have not changed.")
    dry_run: bool = Field(False, description="Only count them.")


async def evaluations(services: Services, call: Call[None, EvaluationsQuery, None]) -> Result:
    wanted = call.query.wanted()
    found = await asyncio.to_thread(services.query.evaluations, call.principal, wanted)
    shown = found[: call.query.limit]
    more = call.query.next_after(shown[-1].at, shown[-1].id) if len(found) > len(shown) else None
    if call.query.format is Format.OTLP:
        return _records(shown, more, call.headers.get("accept", ""))
    doubted = await asyncio.to_thread(services.calibration.uncalibrated, services.query, call.principal, shown)
    return answer(EvaluationsPage(evaluations=[evaluation_json(one, 0, doubted) for one in shown], next=more))


def _records(shown: Sequence[Evaluation], more: str | None, accept: str) -> Result:
    request = evaluation_records(shown)
    headers = {"spanmeter-next": more} if more else {}
    if PROTOBUF in accept:
        return Result(request.SerializeToString(), headers=headers, media_type=PROTOBUF)
    return Result(otlp_json(request), headers=headers)


async def add(services: Services, call: Call[None, None, AddInput]) -> Result:
    now = time.time_ns()
    rows = [_given(one, call.principal, now) for one in call.body.evaluations]
    await asyncio.to_thread(_evals(services).add, rows)
    return answer(Added(ids=[row.id for row in rows]), 201)


async def evaluators(services: Services, _: Call[None, None, None]) -> Result:
    return answer(EvaluatorsAnswer(evaluators=[evaluator_json(one) for one in _evals(services).evaluators]))


async def run_evaluators(services: Services, call: Call[None, None, RunEvaluatorsInput]) -> Result:
    evals, body = _evals(services), call.body
    chosen = _defined(evals, body.definitions) if body.definitions else evals.named(body.evaluators)
    until = time.time_ns() if body.until is None else body.until
    window = Window(call.principal.project, body.since, until, again=body.again)

    def work(progress: Progress) -> object:
        outcome = evals.backfill(chosen, window, progress, dry_run=body.dry_run)
        judges = [one.name for one in chosen if one.kind is EvalKind.JUDGE]
        return outcome_json(outcome, services.calibration.of(services.query, call.principal, judges))

    job = services.jobs.start("evals", call.principal, Scope.EVALS_READ, work)
    return answer(JobAnswer(job=job_json(job)), 202, {"location": f"/api/v1/jobs/{job.id}"})


def _defined(evals: EvalService, definitions: Sequence[dict[str, Any]]) -> Sequence[Evaluator]:
    """What a request defines: no programs, which whoever may judge could have this machine start."""
    try:
        found = EvaluatorFile.model_validate({"evaluators": list(definitions)}).evaluators
    except ValidationError as error:
        raise Rejected(Reason.MALFORMED, " ".join(f"{line}." for line in sentences(error, EvaluatorFile))) from None
    if program := next((one.name for one in found if one.check.kind == COMMAND), ""):
        text = f"{program} starts a program: such an evaluator stands in the daemon's own settings only."
        raise Rejected(Reason.MALFORMED, text)
    return evals.defined(found)


def _given(one: GivenEvaluation, principal: Principal, now: int) -> Evaluation:
    status = EvalStatus.ERROR if one.error_type else EvalStatus.OK
    return Evaluation(
        project=principal.project,
        trace_id=one.trace_id.lower(),
        span_id=one.span_id.lower(),
        target=Target.SPAN if one.span_id else Target.RUN,
        evaluator=one.evaluator,
        kind=EvalKind.EXTERNAL,
        revision=one.revision,
        batch=one.batch or f"api-{now}",
        at=now,
        status=status,
        error_type=one.error_type,
        verdict=Verdict.NONE if one.error_type else Verdict(one.verdict),
        score=None if one.error_type else one.score,
        label=one.label,
        reason=one.reason,
        case=one.case,
        trial=one.trial,
        receipt=Receipt(model=one.model),
    )


def _evals(services: Services) -> EvalService:
    if services.evals is None:
        raise Rejected(Reason.NOT_FOUND, "This daemon does not judge.")
    return services.evals
