"""Long work: one by one, seen by those who could have started it, cancelled between steps, bounded."""

import threading
from collections.abc import Iterator

import pytest

from collector.errors import Reason, Rejected, Unavailable
from collector.jobs import Job, Jobs, JobState
from collector.model.clock import SystemClock
from collector.model.principal import Principal, Scope
from collector.model.progress import Progress
from tests.support.waiting import wait_until

ADMIN = Principal("admin", "here", frozenset({Scope.ADMIN}))
ELSEWHERE = Principal("other admin", "there", frozenset({Scope.ADMIN}))
READER = Principal("reader", "here", frozenset({Scope.TRACES_READ}))
THERE = Principal("reader", "there", frozenset({Scope.TRACES_READ}))


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(SystemClock())
    yield jobs
    jobs.close()


class Steps:
    """Work that takes a step each time it is let."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.go = threading.Event()

    def __call__(self, progress: Progress) -> object:
        progress(0, 2)
        self.began.set()
        assert self.go.wait(30)
        progress(1, 2)
        return "done"


def started(jobs: Jobs, work: Steps, principal: Principal = ADMIN, scope: Scope = Scope.ADMIN) -> Job:
    return jobs.start("steps", principal, scope, work)


def end_of(jobs: Jobs, job: Job) -> Job:
    wait_until(lambda: jobs.find(ADMIN, job.id).state.final, 30, "the job's end")
    return jobs.find(ADMIN, job.id)


def test_a_job_over_its_life(jobs: Jobs) -> None:
    work = Steps()
    job = started(jobs, work)
    assert (job.state, job.total) == (JobState.QUEUED, 0)
    assert work.began.wait(30)
    running = jobs.find(ADMIN, job.id)
    assert (running.state, running.done, running.total, running.result) == (JobState.RUNNING, 0, 2, None)
    work.go.set()
    ended = end_of(jobs, job)
    assert (ended.state, ended.done, ended.result) == (JobState.SUCCEEDED, 1, "done")
    assert ended.created_ns <= (ended.started_ns or 0) <= (ended.finished_ns or 0)
    assert jobs.cancel(ADMIN, job.id) == ended


def test_a_running_job_is_cancelled_between_steps_and_a_queued_one_at_once(jobs: Jobs) -> None:
    first, second = Steps(), Steps()
    running, queued = started(jobs, first), started(jobs, second)
    assert first.began.wait(30)
    assert jobs.cancel(ADMIN, queued.id).state is JobState.CANCELLED
    assert jobs.cancel(ADMIN, running.id).state is JobState.RUNNING
    first.go.set()
    assert end_of(jobs, running).state is JobState.CANCELLED
    assert not second.began.is_set()


def test_a_failure_is_the_jobs_result(jobs: Jobs) -> None:
    def unavailable(_: Progress) -> object:
        raise Unavailable(Reason.STORE, "The store does not answer.")

    def defect(_: Progress) -> object:
        raise ZeroDivisionError

    failed = end_of(jobs, jobs.start("a", ADMIN, Scope.ADMIN, unavailable))
    assert (failed.state, str(failed.error)) == (JobState.FAILED, "The store does not answer.")
    failed = end_of(jobs, jobs.start("b", ADMIN, Scope.ADMIN, defect))
    assert (failed.state, str(failed.error)) == (JobState.FAILED, "The job failed; the log has details.")


def test_jobs_are_seen_by_those_who_could_have_started_them(jobs: Jobs) -> None:
    work = Steps()
    work.go.set()
    of_admin = started(jobs, work)
    of_reader = started(jobs, work, READER, Scope.TRACES_READ)
    assert [job.id for job in jobs.page(ADMIN, 10)] == [of_reader.id, of_admin.id], "newest first"
    assert [job.id for job in jobs.page(READER, 10)] == [of_reader.id]
    assert len(jobs.page(ELSEWHERE, 10)) == 2
    assert jobs.page(THERE, 10) == []
    for find in (jobs.find, jobs.cancel):
        with pytest.raises(Rejected, match="There is no job") as caught:
            find(READER, of_admin.id)
        assert caught.value.reason is Reason.NOT_FOUND


def test_jobs_come_in_pages(jobs: Jobs) -> None:
    work = Steps()
    work.go.set()
    ids = [started(jobs, work).id for _ in range(5)][::-1]
    assert [job.id for job in jobs.page(ADMIN, 2, ids[1])] == ids[2:4]
    assert jobs.page(ADMIN, 2, ids[-1]) == []
    with pytest.raises(Rejected, match="is not the `next` of a page of jobs"):
        jobs.page(ADMIN, 2, "job_unknown")


def test_jobs_are_bounded(jobs: Jobs) -> None:
    work = Steps()
    waiting = [started(jobs, work) for _ in range(20)]
    with pytest.raises(Unavailable, match="20 jobs are waiting or running"):
        started(jobs, work)
    jobs.cancel(ADMIN, waiting[-1].id)
    started(jobs, work)
    work.go.set()


def test_close_cancels_and_waits() -> None:
    jobs, work = Jobs(SystemClock()), Steps()
    running, queued = started(jobs, work), started(jobs, Steps())
    assert work.began.wait(30)
    closing = threading.Thread(target=jobs.close)
    closing.start()
    wait_until(lambda: jobs.find(ADMIN, queued.id).state.final, 30, "cancelling")
    work.go.set()
    closing.join(30)
    assert not closing.is_alive()
    assert jobs.find(ADMIN, running.id).state is JobState.CANCELLED
    with pytest.raises(Unavailable, match="stopping"):
        started(jobs, work)
