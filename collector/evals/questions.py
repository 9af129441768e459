"""From an evaluator of kind judge and a run to what its judge is asked."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from collector.config.checks import Judge as JudgeCheck
from collector.config.evals import JudgeConfig
from collector.errors import ConfigError
from collector.evals.evaluator import Evaluator
from collector.evals.subject import Subject
from collector.judge.endpoint import JudgeEndpoint
from collector.judge.judge import Limits
from collector.judge.question import Asking, Field, Question, Rubric, Scale
from collector.model.money import picodollars
from collector.runs import Round

_ATTRIBUTE = "attribute."


def judge_check(evaluator: Evaluator) -> JudgeCheck | None:
    """The settings of a judge; None of another kind."""
    check = evaluator.config.check
    return check if isinstance(check, JudgeCheck) else None


def judge_named(check: JudgeCheck, judges: Mapping[str, JudgeConfig], evaluator: str) -> tuple[str, JudgeConfig]:
    """The judge an evaluator uses. Raises ConfigError when it is not to be found, or several are and none is named."""
    name = check.judge.use or (next(iter(judges)) if len(judges) == 1 else "")
    if name not in judges:
        known = ", ".join(sorted(judges)) or "none is there"
        what = f"its judge {name!r} is not in judges" if name else "it names none of the judges (judge: {use: NAME})"
        raise ConfigError(f"The evaluator {evaluator} cannot be used: {what}; known: {known}.")
    return name, judges[name]


def endpoint_of(name: str, config: JudgeConfig) -> JudgeEndpoint:
    """Where a judge is asked."""
    return JudgeEndpoint(
        name=name,
        dialect_name=config.dialect,
        base_url=config.base_url,
        key_env=config.key_env,
        provider_name=config.provider,
        allow_private=config.allow_private,
        concurrency=config.max_concurrency,
    )


def asking_of(check: JudgeCheck, config: JudgeConfig) -> Asking:
    """How a judge is asked."""
    use = check.judge
    return Asking(
        model=config.model,
        max_tokens=use.max_tokens,
        timeout=use.timeout,
        votes=use.votes,
        max_votes=use.max_votes,
        temperature=use.temperature,
        flip_band=use.flip_band,
    )


def limits_of(check: JudgeCheck, *, allow_unpriced: bool = False) -> Limits:
    """What one verdict may cost."""
    budget = check.budget
    most = None if budget.per_verdict_usd is None else picodollars(budget.per_verdict_usd)
    return Limits(most, allow_unpriced or budget.max_calls is not None)


def with_judge(evaluator: Evaluator, judges: Mapping[str, JudgeConfig]) -> Evaluator:
    """The evaluator with the judge that its revision depends on; another kind as it is. Raises ConfigError."""
    check = judge_check(evaluator)
    if check is None:
        return evaluator
    _, config = judge_named(check, judges, evaluator.name)
    return Evaluator(evaluator.config, asking_of(check, config).identity)


def question_of(name: str, check: JudgeCheck, subject: Subject) -> Question | None:
    """The question about a run or span; None when there is nothing of it that the judge could see."""
    shown = {word: seen for word in check.sees if (seen := _seen(word, subject)) not in (None, "", [])}
    if not shown:
        return None
    scale = Scale(*check.scale) if check.scale else None
    rubric = Rubric(check.rubric, check.choices, check.pass_at, scale)
    return Question(name, rubric, shown, tuple(_fields(subject)))


def _seen(name: str, subject: Subject) -> object:
    if name.startswith(_ATTRIBUTE):
        key = name.removeprefix(_ATTRIBUTE)
        return next(filter(None, (span.value(key) for span in subject.spans)), None)
    look = _LOOKS.get(name)
    return look(subject) if look else None


def _placed(span_id: str, text: str) -> dict[str, str]:
    return {"span_id": span_id, "text": text}


def _input(subject: Subject) -> object:
    """What was asked: of a run the messages of its first call that people wrote, else the input of its root."""
    if subject.span is not None:
        return _placed(subject.span.span_id, subject.span.input) if subject.span.input else None
    for one in subject.run.rounds:
        said = [message.text for message in one.call.input if message.role == "user"] if one.call else []
        if one.call and any(said):
            return _placed(one.call.span.span_id, "\n".join(filter(None, said)))
    root = next(iter(subject.tree.roots), None)
    return _placed(root.span_id, root.input) if root and root.input else None


def _step(one: Round) -> dict[str, Any]:
    actions = [
        {
            "span_id": action.span.span_id,
            "name": action.name,
            "arguments": action.arguments,
            "result": action.result,
            "error": action.error,
        }
        for action in one.actions
    ]
    answered = {"span_id": one.call.span.span_id, "answer": one.answer} if one.call else {}
    return {"round": one.number, **answered, "actions": actions}


def _output(subject: Subject) -> object:
    return None if subject.output is None else _placed(subject.output.span_id, subject.output.text)


_LOOKS: Mapping[str, Callable[[Subject], object]] = {
    "input": _input,
    "output": _output,
    "trajectory": lambda subject: [_step(one) for one in subject.run.rounds],
    "system_prompt": lambda subject: subject.run.system_prompt.text if subject.run.system_prompt else None,
    "tools": lambda subject: [tool.name for tool in subject.run.tools],
    "expected": lambda subject: _seen(_ATTRIBUTE + "spanmeter.expected", subject),
}


def _fields(subject: Subject) -> Iterator[Field]:
    """What may be cited."""
    if subject.output is not None:
        yield Field(subject.output.span_id, subject.output.field, subject.output.text)
    for one in subject.run.rounds:
        for action in one.actions:
            yield Field(action.span.span_id, "arguments", action.arguments)
            yield Field(action.span.span_id, "result", action.result)
    for span in subject.spans:
        yield Field(span.span_id, "Output", span.output)
        yield Field(span.span_id, "Input", span.input)
