"""A run judged by a model, from its document to rows and spans: what is looked at, and when nobody is asked."""

import asyncio
from collections.abc import Iterator

import pytest

from collector.config.evals import JudgeConfig
from collector.evals.asking import Asker, Judged
from collector.evals.evaluate import About, subjects
from collector.evals.questions import judge_check
from collector.evals.subject import Subject
from collector.judge.caps import CallCap
from collector.judge.client import ModelClient
from collector.model.clock import SystemClock
from collector.model.evaluations import digest_of
from collector.model.usage import Usage
from collector.runs import Run, Span, run_of
from tests.support.judge_server import JudgeServer, judge_server
from tests.support.judged import evaluator, run

ANSWER = "Ça va: you may return it within 30 days."
WRITTEN = "{name: it, kind: judge, rubric: Passes.}"


@pytest.fixture(scope="module")
def server() -> Iterator[JudgeServer]:
    with judge_server() as started:
        yield started


def _priced(_provider: str, _model: str, _answered: str, usage: Usage, _at: int) -> int | None:
    return usage.input_tokens + usage.output_tokens


def asked(
    server: JudgeServer, judged: Run, behaviour: str = "pass", judge: str = "house", written: str = ""
) -> list[Judged]:
    config = JudgeConfig.model_validate({"base_url": server.url, "model": f"fake-{behaviour}", "allow_private": True})
    clock = SystemClock()
    asker = Asker(ModelClient(clock), _priced, clock, {judge: config})
    one = evaluator(written or WRITTEN.replace("kind: judge", "kind: judge, judge: {use: house}"))
    check = judge_check(one)
    assert check

    async def every() -> list[Judged]:
        about = About("default", "4bf92f3577b34da6a3ce929d0e0e4736")
        return [
            await asker.judged(one, check, subject, about, CallCap())
            for subject in subjects(one.config, Subject(judged))
        ]

    return asyncio.run(every())


def test_a_number_near_the_border_is_voted_on(server: JudgeServer) -> None:
    scaled = "kind: judge, scale: [0, 1], pass_at: 0.7, judge: {use: house, max_votes: 3, flip_band: 0.05}"
    [near] = asked(server, run([], ANSWER), "score", written=WRITTEN.replace("kind: judge", scaled))
    assert next((row.vote, row.score, row.verdict) for row in near.rows) == (0, 0.73, "pass")
    assert len(near.rows) == 1 + 2, "two votes agree: a third could not turn them"
    far = scaled.replace("0.05", "0.02")
    [found] = asked(server, run([], ANSWER), "score", written=WRITTEN.replace("kind: judge", far))
    assert {row.vote for row in found.rows} == {0, 1}


def test_evidence_is_bytes_of_the_answer(server: JudgeServer) -> None:
    judged = run([], ANSWER)
    [found] = asked(server, judged, "quoting")
    [row] = found.rows
    [cited] = row.evidence
    answer = next(one.answer for one in judged.rounds if one.call and one.call.span.span_id == cited.span_id)
    told = answer.encode()[cited.start : cited.end]
    assert (told, cited.field) == (b"30 days", "answer")
    assert digest_of(told) == cited.sha256
    assert row.flags == ()


def test_nobody_is_asked_about_what_was_not_captured(server: JudgeServer) -> None:
    server.asked.clear()
    [found] = asked(server, run_of([Span("root", name="agent", kind="agent")]))
    [row] = found.rows
    assert (row.status, row.error_type, found.requests) == ("skipped", "no_data", ())
    assert server.asked == []


def test_a_judge_that_is_not_there_is_an_error(server: JudgeServer) -> None:
    [found] = asked(server, run([], ANSWER), judge="another")
    [row] = found.rows
    assert (row.status, row.error_type) == ("error", "judge_config")
    assert "its judge 'house' is not in judges" in row.reason


def test_spans_of_another_purpose_are_not_looked_at() -> None:
    spans = [
        Span("root", name="agent", kind="agent"),
        Span("call", parent_id="root", kind="llm", output="yes"),
        Span("grader", parent_id="root", kind="llm", output="1", purpose="judge"),
    ]
    one = evaluator('{name: it, "on": span, select: {where: [{kind: llm}]}, kind: finish}')
    looked_at = [subject.span.span_id for subject in subjects(one.config, Subject(run_of(spans))) if subject.span]
    assert looked_at == ["call"]
