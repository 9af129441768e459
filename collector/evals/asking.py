"""One run or span judged by a model, whoever asks for it: its rows, and the spans that asking made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from collector.config.checks import Judge as JudgeCheck
from collector.config.evals import JudgeConfig
from collector.errors import ConfigError
from collector.evals.evaluate import About, evaluation
from collector.evals.evaluator import Evaluator
from collector.evals.finding import Finding, error, skipped
from collector.evals.questions import asking_of, endpoint_of, judge_named, limits_of, question_of
from collector.evals.subject import Subject
from collector.judge.caps import Cap
from collector.judge.client import ModelClient
from collector.judge.judge import Judge, JudgeError, Pricer, most_usage
from collector.judge.prompt import prompt_of
from collector.model.clock import Clock
from collector.model.evaluations import EvalStatus, Evaluation, Skip
from collector.model.usage import Usage

_NOTHING_TO_SEE = "There is nothing for the judge to see."
_BYTES_OF_TOKEN = 4  # of prose, roughly


class Judged(NamedTuple):
    """The rows of judgements, and the export requests of their spans; none when nobody was asked."""

    rows: Sequence[Evaluation]
    requests: Sequence[bytes] = ()


class Price(NamedTuple):
    """What a judgement costs in picodollars: about, and at most without repetitions. None: the model has no price."""

    about: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks models for evaluators. `judges` are those of the settings, by name."""

    client: ModelClient
    pricer: Pricer
    clock: Clock
    judges: Mapping[str, JudgeConfig]

    async def judged(
        self,
        evaluator: Evaluator,
        check: JudgeCheck,
        subject: Subject,
        about: About,
        cap: Cap,
        *,
        allow_unpriced: bool = False,
    ) -> Judged:
        """A verdict, or a row that says why there is none. Raises what `cap` raises."""
        question = question_of(evaluator.name, check, subject)
        if question is None:
            return self._without_asking(evaluator, subject, about, skipped(Skip.NO_DATA, _NOTHING_TO_SEE))
        try:
            name, config = judge_named(check, self.judges, evaluator.name)
        except ConfigError as mistake:
            return self._without_asking(evaluator, subject, about, error(JudgeError.CONFIG, str(mistake)))
        requests: list[bytes] = []
        judge = Judge(self.client, self.pricer, requests.append, self.clock)
        blank = evaluation(evaluator, subject, Finding(EvalStatus.OK), about, 0)
        limits = limits_of(check, allow_unpriced=allow_unpriced)
        endpoint = endpoint_of(name, config)
        rows = await judge.judge(blank, question, asking_of(check, config), endpoint, cap, limits)
        return Judged(rows, requests)

    def price(self, evaluator: Evaluator, check: JudgeCheck, subject: Subject) -> Price:
        """What a verdict would cost, if each vote were given at once. Raises ConfigError."""
        question = question_of(evaluator.name, check, subject)
        if question is None:
            return Price(0, 0)
        name, config = judge_named(check, self.judges, evaluator.name)
        endpoint, asking = endpoint_of(name, config), asking_of(check, config)
        judge = Judge(self.client, self.pricer, lambda _: None, self.clock)
        most = most_usage(question, asking, prompt_of(question))
        usual = Usage(most.input_tokens // _BYTES_OF_TOKEN, most.output_tokens // 2)
        about, worst = (judge.price(endpoint, asking, usage) for usage in (usual, most))
        return Price(_times(about, asking.votes), _times(worst, asking.most_votes))

    def failed(self, evaluator: Evaluator, subject: Subject, about: About, failure: Exception) -> Judged:
        """The row of a judgement that could not be made for a defect of ours."""
        return self._without_asking(
            evaluator, subject, about, error("internal", f"It could not be judged: {type(failure).__name__}.")
        )

    def _without_asking(self, evaluator: Evaluator, subject: Subject, about: About, finding: Finding) -> Judged:
        row = evaluation(evaluator, subject, finding, about, 0)
        return Judged([replace(row, at=self.clock.time_ns())])


def _times(pico: int | None, votes: int) -> int | None:
    return None if pico is None else pico * votes
