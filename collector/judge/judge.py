"""One judgement: asked, asked once more when the answer cannot be used, voted on, priced, and written down.

A judge that fails makes a row that says so, and never a score.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from collector.errors import ConfigError
from collector.judge import injection
from collector.judge.caps import Cap, Hold
from collector.judge.client import CallFailed, ModelClient
from collector.judge.dialects import ModelAnswer
from collector.judge.endpoint import JudgeEndpoint
from collector.judge.parsing import AnswerFault, Judged, parsed, printable
from collector.judge.prompt import Prompt, again, prompt_of
from collector.judge.question import Asking, Question
from collector.judge.spans import FEATURE, JudgeCall, JudgeTrace
from collector.judge.votes import counted, wants_another
from collector.model.clock import Clock
from collector.model.evaluations import EvalKind, EvalStatus, Evaluation, Receipt, Skip, Verdict
from collector.model.money import usd
from collector.model.purposes import EVALUATOR_ATTRIBUTE, JUDGE
from collector.model.usage import Usage

_ATTEMPTS: Final = 3  # of one request that the server did not answer
_OVERHEAD: Final = 1_024  # tokens that a server may add around the texts, also for the schema
_MAX_ERROR: Final = 500

# (provider, model that was asked for, model that answered, usage, Unix nanoseconds) -> picodollars; None when unknown.
Pricer = Callable[[str, str, str, Usage, int], int | None]


class JudgeError(StrEnum):
    """`error_type` of a judgement whose answer was no verdict; further ones are those of `CallFault`."""

    FORMAT = "judge_format"
    REFUSED = "judge_refused"
    SPLIT = "judge_split"
    CONFIG = "judge_config"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one verdict may cost, in picodollars, and whether calls without a known price are made."""

    per_verdict: int | None = None
    allow_unpriced: bool = False


class _NoVerdict(Exception):  # noqa: N818 - an outcome
    def __init__(self, status: EvalStatus, error_type: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.error_type, self.reason = status, error_type, reason


class _Vote(NamedTuple):
    """One vote: what was judged, or why nothing was."""

    judged: Judged | None
    failure: _NoVerdict | None
    calls: Sequence[JudgeCall]


class Judge:
    """Judges. `publish` takes the export request of a judgement's spans, once it is made; it must not raise."""

    def __init__(self, client: ModelClient, pricer: Pricer, publish: Callable[[bytes], object], clock: Clock) -> None:
        self._client = client
        self._pricer = pricer
        self._publish = publish
        self._clock = clock

    async def judge(
        self,
        blank: Evaluation,
        question: Question,
        asking: Asking,
        endpoint: JudgeEndpoint,
        cap: Cap,
        limits: Limits = Limits(),
    ) -> list[Evaluation]:
        """The rows of a judgement: the whole (vote 0), and where there are several, each vote.

        `blank` says what is judged, by which revision: all but what is found. The receipt of the whole is that of all
        votes. The row of a judgement without a verdict is an error, or skipped when the cap left no room.
        """
        started = self._clock.time_ns()
        blank = replace(
            blank,
            kind=EvalKind.JUDGE,
            evaluator=question.evaluator,
            input_hash=blank.input_hash or question.input_hash,
            score_min=question.rubric.bounds.low,
            score_max=question.rubric.bounds.high,
        )
        trace = JudgeTrace(question.evaluator, blank.trace_id, blank.span_id)
        asked = _Asked(self, question, asking, endpoint, cap, limits, trace)
        votes = [vote async for vote in asked.votes()]
        if trace.calls:
            self._publish(trace.request())
        rows = [self._row(blank, question, asking, endpoint, trace, [vote], started) for vote in votes]
        if asking.most_votes == 1:
            return rows
        whole = self._row(blank, question, asking, endpoint, trace, votes, started)
        return [whole, *(replace(row, vote=number) for number, row in enumerate(rows, 1))]

    def _row(
        self,
        blank: Evaluation,
        question: Question,
        asking: Asking,
        endpoint: JudgeEndpoint,
        trace: JudgeTrace,
        votes: Sequence[_Vote],
        started: int,
    ) -> Evaluation:
        """What some votes come to."""
        now = self._clock.time_ns()
        calls = [call for vote in votes for call in vote.calls]
        row = replace(blank, at=now, receipt=self._receipt(asking, endpoint, trace, calls, now - started))
        flags = list(_call_flags(asking, calls))
        answered = next((call.answer.model for call in calls if call.answer and call.answer.model), "")
        if answered and answered != asking.model:
            row = replace(row, revision=f"{row.revision}@{answered}")
        found = [vote.judged for vote in votes if vote.judged]
        failures = [vote.failure for vote in votes if vote.failure]
        if failures and len(failures) >= len(found):
            first = failures[0]
            reason = printable(first.reason)[:_MAX_ERROR]
            return replace(row, status=first.status, error_type=first.error_type, reason=reason, flags=_unique(flags))
        whole = counted(found, question.rubric)
        if whole is None:
            reason = f"Of {len(found)} votes as many pass as fail."
            return replace(
                row, status=EvalStatus.ERROR, error_type=JudgeError.SPLIT, reason=reason, flags=_unique(flags)
            )
        judged, agreement = whole
        if injection.suspicious((one.text for one in question.fields), question.rubric.choices):
            flags.append(injection.FLAG)
        return replace(
            row,
            verdict=Verdict.PASS if judged.passed else Verdict.FAIL,
            score=judged.score,
            label=judged.label,
            reason=judged.reason,
            evidence=judged.evidence,
            flags=_unique([*judged.flags, *flags, *(["votes_missing"] if failures else [])]),
            agreement=agreement,
        )

    def _receipt(
        self, asking: Asking, endpoint: JudgeEndpoint, trace: JudgeTrace, calls: Sequence[JudgeCall], took: int
    ) -> Receipt:
        """Exactly what the spans of these calls are priced with: a call nobody can price makes no amount of its own."""
        costs = [cost for call in calls if (cost := self.cost(call)) is not None]
        answers = [call.answer for call in calls if call.answer]
        return Receipt(
            model=answers[-1].model if answers and answers[-1].model else asking.model,
            provider=endpoint.provider,
            trace_id=trace.trace_id if calls else "",
            span_id=calls[-1].span_id if calls else "",
            cost=sum(map(usd, costs), Decimal(0)) if costs else None,
            input_tokens=sum(call.usage.input_tokens for call in calls if call.usage),
            output_tokens=sum(call.usage.output_tokens for call in calls if call.usage),
            duration_ns=took,
        )

    def cost(self, call: JudgeCall) -> int | None:
        """Picodollars of a call; None when its usage or its price is not known."""
        if call.usage is None:
            return None
        answered = call.answer.model if call.answer else ""
        return self._pricer(call.provider, call.model, answered, call.usage, call.started_ns)

    def price(self, endpoint: JudgeEndpoint, asking: Asking, usage: Usage) -> int | None:
        """Picodollars that a call of such usage costs now; None when its price is not known."""
        return self._pricer(endpoint.provider, asking.model, "", usage, self._clock.time_ns())

    @property
    def client(self) -> ModelClient:
        """What asks."""
        return self._client

    def now(self) -> int:
        """Unix nanoseconds."""
        return self._clock.time_ns()


@dataclass(slots=True)
class _Asked:
    """A judgement under way."""

    judge: Judge
    question: Question
    asking: Asking
    endpoint: JudgeEndpoint
    cap: Cap
    limits: Limits
    trace: JudgeTrace
    spent: int = 0

    async def votes(self) -> AsyncIterator[_Vote]:
        """Votes, for as long as another is worth it. A vote that fails ends them: the next would fail likewise."""
        found: list[Judged] = []
        while not found or wants_another(found, self.question.rubric, self.asking):
            begun = len(self.trace.calls)
            try:
                judged = await self._vote()
            except _NoVerdict as failure:
                yield _Vote(None, failure, self.trace.calls[begun:])
                return
            found.append(judged)
            yield _Vote(judged, None, self.trace.calls[begun:])

    async def _vote(self) -> Judged:
        prompt = prompt_of(self.question)
        try:
            return self._verdict(await self._answer(prompt))
        except AnswerFault as fault:
            prompt = again(prompt, str(fault))
        try:
            return self._verdict(await self._answer(prompt))
        except AnswerFault as fault:
            text = f"Asked twice, the judge gave no usable answer: {fault}"
            raise _NoVerdict(EvalStatus.ERROR, JudgeError.FORMAT, text) from None

    def _verdict(self, answer: ModelAnswer) -> Judged:
        if answer.refused:
            text = f"The judge refused to answer ({answer.finish or 'refusal'})."
            raise _NoVerdict(EvalStatus.ERROR, JudgeError.REFUSED, text)
        if answer.cut:
            raise AnswerFault(f"it was cut off after {self.asking.max_tokens} tokens; say it in fewer.")
        return parsed(answer.text, self.question)

    async def _answer(self, prompt: Prompt) -> ModelAnswer:
        """An answer, after a few attempts. Raises _NoVerdict."""
        for attempt in range(_ATTEMPTS):
            try:
                return await self._attempt(prompt)
            except CallFailed as failure:
                if attempt + 1 == _ATTEMPTS or not failure.again:
                    raise _NoVerdict(EvalStatus.ERROR, failure.fault, str(failure)) from None
                await self.judge.client.wait_before(attempt, failure)
            except ConfigError as error:
                raise _NoVerdict(EvalStatus.ERROR, JudgeError.CONFIG, str(error)) from None
        raise AssertionError("the last attempt raises")

    async def _attempt(self, prompt: Prompt) -> ModelAnswer:
        hold = await self._hold(prompt)
        call = JudgeCall(self.asking.model, self.endpoint.provider, prompt, self.judge.now(), lease=hold.id)
        try:
            schema = self.question.rubric.schema()
            answer = await self.judge.client.ask(self.endpoint, self.asking, prompt, schema)
        except CallFailed as failure:
            call.error_type, call.error = failure.fault, str(failure)
            await self._ended(call, hold, billed=failure.billed)
            raise
        except BaseException:
            await hold.settle(None)
            raise
        call.answer = answer
        call.usage = answer.usage if answer.usage and _plausible(answer.usage, prompt, schema, self.asking) else None
        await self._ended(call, hold, billed=True)
        return answer

    async def _ended(self, call: JudgeCall, hold: Hold, *, billed: bool) -> None:
        call.ended_ns = self.judge.now()
        self.trace.calls.append(call)
        if not billed:
            await hold.release()
            return
        cost = self.judge.cost(call)
        self.spent += cost or 0
        await hold.settle(cost, call.usage.input_tokens + call.usage.output_tokens if call.usage else 0)

    async def _hold(self, prompt: Prompt) -> Hold:
        most = most_usage(self.question, self.asking, prompt)
        worst = self.judge.price(self.endpoint, self.asking, most)
        if worst is None and not self.limits.allow_unpriced:
            who = f"{self.asking.model} of {self.endpoint.provider}"
            text = f"{who} has no known price; set max_calls to ask it all the same."
            raise _NoVerdict(EvalStatus.SKIPPED, Skip.UNPRICED, text)
        if self.limits.per_verdict is not None and self.spent + (worst or 0) > self.limits.per_verdict:
            raise _NoVerdict(EvalStatus.SKIPPED, Skip.BUDGET, "The call could cost more than per_verdict_usd leaves.")
        stated = {
            "feature": FEATURE,
            "purpose": JUDGE,
            "model": self.asking.model,
            "provider": self.endpoint.provider,
            f"attribute.{EVALUATOR_ATTRIBUTE}": self.question.evaluator,
        }
        hold = await self.cap.reserve(stated, worst or 0, most.input_tokens + most.output_tokens)
        if hold is None:
            text = "The budget of the evaluator has no room for the most that this call can cost."
            raise _NoVerdict(EvalStatus.SKIPPED, Skip.BUDGET, text)
        return hold


def most_usage(question: Question, asking: Asking, prompt: Prompt) -> Usage:
    """What one call can take at most: no tokenizer makes more tokens than there are bytes."""
    sent = prompt.size + len(json.dumps(question.rubric.schema()))
    return Usage(input_tokens=sent + _OVERHEAD, output_tokens=asking.max_tokens)


def _plausible(usage: Usage, prompt: Prompt, schema: object, asking: Asking) -> bool:
    """Whether a server that did as it was asked can have counted this: the worst case holds for what it may have."""
    sent = prompt.size + len(json.dumps(schema))
    return usage.input_tokens <= sent + _OVERHEAD and usage.output_tokens <= asking.max_tokens


def _call_flags(asking: Asking, calls: Sequence[JudgeCall]) -> Iterable[str]:
    for call in calls:
        if not call.answer:
            continue
        if call.usage is None:
            yield "implausible_usage" if call.answer.usage else "no_usage"
        if call.answer.model and not call.answer.model.startswith(asking.model):
            yield "other_model"


def _unique(flags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(flags))
