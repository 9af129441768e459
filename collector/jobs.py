"""Work that takes longer than a request: queued, run one by one in a thread, watched by its id, and cancelled.

Jobs live in memory: a daemon that stops cancels them, and its successor knows nothing of them.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import Lock

import structlog

from collector.errors import Cancelled, Reason, Rejected, SpanmeterError, Unavailable
from collector.model.clock import Clock
from collector.model.principal import Principal, Scope
from collector.model.progress import Progress
from collector.part import Part

log = structlog.get_logger("spanmeter.jobs")

_MAX_UNFINISHED = 20
_MAX_KEPT = 200  # of those that have ended, the latest


class JobState(StrEnum):
    """Where a job is in its life; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self not in {JobState.QUEUED, JobState.RUNNING}


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was at one moment. `done` of `total` steps; `total` is 0 until it is known. Times are Unix ns.

    Who may see it: callers of its project whose token has `scope`, and of any project with `admin`.
    """

    id: str
    kind: str
    project: str
    scope: Scope
    created_ns: int
    state: JobState = JobState.QUEUED
    done: int = 0
    total: int = 0
    started_ns: int | None = None
    finished_ns: int | None = None
    cancelling: bool = False
    result: object = None
    error: SpanmeterError | None = None

    def visible_to(self, principal: Principal) -> bool:
        same_project = principal.project == self.project or principal.may(Scope.ADMIN)
        return same_project and principal.may(self.scope)


# Reports its progress between steps, which raises Cancelled when it should end; what it returns is the job's result.
Work = Callable[[Progress], object]


class Jobs(Part):
    """For any thread, but for what every part has."""

    name = "jobs"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._jobs: dict[str, Job] = {}  # in the order they were made
        self._thread = ThreadPoolExecutor(1, "jobs")
        self._closed = False

    def start(self, kind: str, principal: Principal, scope: Scope, work: Work) -> Job:
        """Queue `work`. Raises Unavailable(BUSY) when too many jobs wait, (STOPPING) once closed."""
        job = Job(f"job_{secrets.token_hex(16)}", kind, principal.project, scope, self._clock.time_ns())
        with self._lock:
            if self._closed:
                raise Unavailable(Reason.STOPPING, "The daemon is stopping.")
            if sum(not other.state.final for other in self._jobs.values()) >= _MAX_UNFINISHED:
                raise Unavailable(Reason.BUSY, f"{_MAX_UNFINISHED} jobs are waiting or running; cancel some.", 10)
            self._jobs[job.id] = job
            self._forget()
            self._thread.submit(self._run, job.id, work)
        return job

    def find(self, principal: Principal, job_id: str) -> Job:
        """Raises Rejected(NOT_FOUND), also for a job that the caller may not see."""
        job = self._jobs.get(job_id)
        if job is None or not job.visible_to(principal):
            raise Rejected(Reason.NOT_FOUND, f"There is no job {job_id[:60]!r} in project {principal.project}.")
        return job

    def page(self, principal: Principal, limit: int, after: str | None = None) -> Sequence[Job]:
        """The latest `limit` jobs that the caller may see, newest first; `after` is the last one of the page before.

        Raises Rejected(MALFORMED) when there is no job `after` any more.
        """
        with self._lock:
            seen = [job for job in reversed(self._jobs.values()) if job.visible_to(principal)]
        if after is None:
            return seen[:limit]
        ids = [job.id for job in seen]
        if after not in ids:
            raise Rejected(Reason.MALFORMED, f"after={after[:60]!r} is not the `next` of a page of jobs.")
        return seen[ids.index(after) + 1 :][:limit]

    def cancel(self, principal: Principal, job_id: str) -> Job:
        """Have a job end: at once while it is queued, after its present step while it runs. Others stay as they are.

        Raises Rejected(NOT_FOUND).
        """
        with self._lock:
            return self._cancelled(self.find(principal, job_id).id)

    async def stop(self, grace: float) -> None:
        """Cancel what is not finished, and wait for the step that runs."""
        self._cancel_all()
        ending = asyncio.to_thread(self._thread.shutdown)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ending, grace)

    def close(self) -> None:
        """As `stop`, however long the step takes."""
        self._cancel_all()
        self._thread.shutdown()

    def _cancel_all(self) -> None:
        with self._lock:
            self._closed = True
            for job_id in self._jobs:
                self._cancelled(job_id)

    def _cancelled(self, job_id: str) -> Job:
        job = self._jobs[job_id]
        if job.state is JobState.QUEUED:
            job = replace(job, state=JobState.CANCELLED, finished_ns=self._clock.time_ns())
        elif job.state is JobState.RUNNING:
            job = replace(job, cancelling=True)
        self._jobs[job_id] = job
        return job

    def _forget(self) -> None:
        ended = [job.id for job in self._jobs.values() if job.state.final]
        for job_id in ended[:-_MAX_KEPT]:
            del self._jobs[job_id]

    def _run(self, job_id: str, work: Work) -> None:
        with self._lock:
            job = self._jobs[job_id]
            if job.state.final:
                return
            self._jobs[job_id] = replace(job, state=JobState.RUNNING, started_ns=self._clock.time_ns())
        try:
            self._end(job_id, JobState.SUCCEEDED, result=work(lambda done, total: self._advance(job_id, done, total)))
        except Cancelled:
            self._end(job_id, JobState.CANCELLED)
        except SpanmeterError as error:
            self._end(job_id, JobState.FAILED, error=error)
        except Exception:  # a defect in one job must not end the thread of all
            log.exception("A job failed.", job=job_id, kind=job.kind)
            self._end(job_id, JobState.FAILED, error=Rejected(Reason.INTERNAL, "The job failed; the log has details."))

    def _advance(self, job_id: str, done: int, total: int) -> None:
        with self._lock:
            job = self._jobs[job_id]
            if job.cancelling:
                raise Cancelled("The job was cancelled.")
            self._jobs[job_id] = replace(job, done=done, total=total)

    def _end(self, job_id: str, state: JobState, result: object = None, error: SpanmeterError | None = None) -> None:
        with self._lock:
            self._jobs[job_id] = replace(
                self._jobs[job_id], state=state, finished_ns=self._clock.time_ns(), result=result, error=error
            )
