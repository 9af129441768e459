"""Handlers of long work: it is answered with 202 and a job, which is then asked for."""

from typing import cast

from pydantic import Field

from collector.billing.reprice import LATER, Selection, outcome_json
from collector.errors import Reason, Rejected
from collector.jobs import Job
from collector.model.principal import Scope
from collector.model.progress import Progress
from collector.web.answers import BackupResult, EvalsResult, FailureText, JobAnswer, JobsPage, JobText, RepriceResult
from collector.web.inputs import Instant, Page, Text
from collector.web.operation import Call, Input, Result, Services, answer
from collector.web.times import rfc3339


class RepriceInput(Input):
    """Which stored calls to price again."""

    since: Instant = Field(description="Calls that started from this time on.", examples=["2026-11-01T00:00:00Z"])
    until: Instant | None = Field(None, description="Calls that started before this time; default: all later ones.")
    model: Text = Field(None, description="Only calls of this model.")
    as_model: Text = Field(None, description="What they would have cost on this model; only with `dry_run`.")
    dry_run: bool = Field(True, description="Only compare.")

    def selection(self) -> Selection:
        """Raises Rejected(MALFORMED) for `as_model` that is to be written."""
        if self.as_model and not self.dry_run:
            raise Rejected(Reason.MALFORMED, "as_model only compares; send dry_run: true.")
        until = LATER if self.until is None else self.until
        return Selection(self.since, until, self.model or "", self.as_model or "")


class BackupInput(Input):
    """What to copy."""

    full: bool = Field(False, description="Copy everything, also what the latest backup has.")


class JobPath(Input):
    job_id: str = Field(description="The job's id.")


async def reprice(services: Services, call: Call[None, None, RepriceInput]) -> Result:
    selection, dry_run = call.body.selection(), call.body.dry_run

    def work(progress: Progress) -> object:
        return outcome_json(services.reprice(selection, dry_run, progress))

    job = services.jobs.start("reprice", call.principal, Scope.ADMIN, work)
    return answer(_answer(job), 202, {"location": f"/api/v1/jobs/{job.id}"})


async def backup(services: Services, call: Call[None, None, BackupInput]) -> Result:
    full = call.body.full
    job = services.jobs.start("backup", call.principal, Scope.ADMIN, lambda progress: services.backup(progress, full))
    return answer(_answer(job), 202, {"location": f"/api/v1/jobs/{job.id}"})


async def jobs(services: Services, call: Call[None, Page, None]) -> Result:
    found = services.jobs.page(call.principal, call.query.limit + 1, call.query.after)
    shown = found[: call.query.limit]
    more = shown[-1].id if len(found) > len(shown) else None
    return answer(JobsPage(jobs=[job_json(job) for job in shown], next=more))


async def job(services: Services, call: Call[JobPath, None, None]) -> Result:
    return answer(_answer(services.jobs.find(call.principal, call.path.job_id)))


async def cancel_job(services: Services, call: Call[JobPath, None, None]) -> Result:
    return answer(_answer(services.jobs.cancel(call.principal, call.path.job_id)))


def _answer(found: Job) -> JobAnswer:
    return {"job": job_json(found)}


def job_json(found: Job) -> JobText:
    """A job as every answer has it."""
    return {
        "id": found.id,
        "kind": found.kind,
        "project": found.project,
        "state": found.state.value,
        "done": found.done,
        "total": found.total,
        "created_at": rfc3339(found.created_ns),
        "created_at_unix_nano": str(found.created_ns),
        "started_at": _at(found.started_ns),
        "started_at_unix_nano": _nano(found.started_ns),
        "finished_at": _at(found.finished_ns),
        "finished_at_unix_nano": _nano(found.finished_ns),
        "result": cast("RepriceResult | BackupResult | EvalsResult | None", found.result),
        "error": _failure(found),
    }


def _failure(found: Job) -> FailureText | None:
    if found.error is None:
        return None
    reason: Reason = getattr(found.error, "reason", Reason.STORE)
    return {"reason": reason.value, "message": str(found.error)}


def _at(unix_nano: int | None) -> str | None:
    return None if unix_nano is None else rfc3339(unix_nano)


def _nano(unix_nano: int | None) -> str | None:
    return None if unix_nano is None else str(unix_nano)
