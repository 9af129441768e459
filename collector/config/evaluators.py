"""Evaluators as people write them: whom they look at, how often, and the check."""

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from collector.config.checks import KINDS, MAX_DEPTH, Check, Names, SpanQuery, checks_in
from collector.config.settings import Duration, Section, Written, nearest, setting, shown

EvaluatorName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
_COMBINED: Final = ("all", "any", "not")


class Select(Section):
    """Which runs are looked at; what is not given does not narrow them further."""

    agent: Names = setting((), "Agents; `*` stands for any letters.")
    feature: Names = setting((), "Features, as agents.")
    model: Names = setting((), "Models that were called, as agents.")
    service: Names = setting((), "Services, as agents.")
    user: Names = setting((), "Users, as agents.")
    conversation: Names = setting((), "Conversations, as agents.")
    status: Annotated[
        tuple[Literal["ok", "errors", "failed", "incomplete"], ...],
        BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    ] = setting((), "How runs stand.")
    since: Duration | None = setting(None, "How far a back-fill goes back, when it is not told.")
    where: tuple[SpanQuery, ...] = setting(
        (), "Of runs, those that have such spans; of spans, those that are such.", max_length=20
    )


class Sample(Section):
    rate: float = setting(1.0, "Share of the runs that is looked at.", gt=0, le=1)
    by: Literal["run", "conversation"] = setting("run", "What is drawn: all runs of a conversation, or each.")


class EvaluatorConfig(Section):
    """One evaluator. The settings of its check stand beside these."""

    name: EvaluatorName = setting(..., "What it is called; no two the same.")
    on: Literal["span", "run", "conversation", "case"] = setting("run", "What it looks at.")
    select: Select = setting(Select(), "Which runs, or spans of them.")
    sample: Sample = setting(Sample(), "How many of them.")
    settle: Duration = setting("30s", "How long after its last span a run is looked at.")
    check: Check = Field(alias="<check>", description="kind, all, any or not, and what they take.")

    @model_validator(mode="before")
    @classmethod
    def _split(cls, values: Any) -> Any:
        """What is not of every evaluator is of its check."""
        if not isinstance(values, dict) or "<check>" in values:
            return values
        own = {key: value for key, value in values.items() if key in cls.model_fields and key != "check"}
        check = {key: value for key, value in values.items() if key not in own}
        _refuse_unknown(check)
        return own | {"<check>": check}

    @model_validator(mode="after")
    def _sound(self) -> "EvaluatorConfig":
        judged = [one for one in checks_in(self.check) if one.kind in {"judge", "external", "command"}]
        if judged and judged != [self.check]:
            raise ValueError(f"a check of kind {judged[0].kind} stands alone, not within all, any or not")
        return self


def _refuse_unknown(check: dict[str, Any], depth: int = 0) -> None:
    """Refuse a check whose kind is not known, and one that nests too deeply."""
    if depth > MAX_DEPTH:
        raise ValueError(f"checks nest more than {MAX_DEPTH} deep")
    combined = [] if "kind" in check else [name for name in _COMBINED if name in check]
    if not combined:
        _refuse_kind(check.get("kind"))
    for name in combined:
        for one in check[name] if isinstance(check[name], list | tuple) else [check[name]]:
            if not isinstance(one, dict):
                raise ValueError(f"{shown(one)} is no check; write kind: and what it takes")  # noqa: TRY004 - as pydantic
            _refuse_unknown(one, depth + 1)


def _refuse_kind(kind: object) -> None:
    if kind is None:
        raise ValueError("needs a kind, or all, any or not")
    if not isinstance(kind, str) or kind not in KINDS or kind in _COMBINED:
        raise ValueError(f"{shown(kind)} is no kind of check{nearest(str(kind), KINDS.keys() - set(_COMBINED))}")


def distinct_names(evaluators: tuple[EvaluatorConfig, ...]) -> tuple[EvaluatorConfig, ...]:
    """Refuse evaluators of the same name."""
    seen: set[str] = set()
    for one in evaluators:
        if one.name in seen:
            raise ValueError(f"{shown(one.name)} is the name of two evaluators")
        seen.add(one.name)
    return evaluators


Evaluators = Annotated[tuple[Annotated[EvaluatorConfig, Written("evaluator")], ...], AfterValidator(distinct_names)]


class EvaluatorFile(Section):
    """A file of evaluators: a list of them, which may stand under `evaluators:`."""

    evaluators: Evaluators = setting((), "The evaluators.")
