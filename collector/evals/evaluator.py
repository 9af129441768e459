"""An evaluator ready to be used: its settings and the revision that its verdicts carry."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from collector.config import EvaluatorConfig
from collector.model.evaluations import EvalKind, Target, digest_of

# What verdicts mean changes with it: raise it when a check decides otherwise than before on the same input.
ENGINE: Final = 1
_REVISION_DIGITS = 12
# Who is selected, and when, does not change what a verdict means.
_NOT_MEANING: Final = {"select", "sample", "settle"}
_NO_MEANING_OF_JUDGES: Final = {"budget"}
_KINDS: Final = {"judge": EvalKind.JUDGE, "external": EvalKind.EXTERNAL}


@dataclass(frozen=True)
class Evaluator:
    """`judge` is what a judge's verdicts depend on besides its settings: model, parameters, prompt template."""

    config: EvaluatorConfig
    judge: str = ""

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def kind(self) -> EvalKind:
        return _KINDS.get(self.config.check.kind, EvalKind.CHECK)

    @property
    def target(self) -> Target:
        return Target(self.config.on)

    @cached_property
    def revision(self) -> str:
        """Digest of what its verdicts mean: equal settings written otherwise have the same."""
        meaning = {**meaning_of(self.config), "engine": ENGINE, "judge": self.judge}
        return digest_of(orjson.dumps(meaning, option=orjson.OPT_SORT_KEYS))[:_REVISION_DIGITS]


def evaluators_of(configs: Iterable[EvaluatorConfig]) -> tuple[Evaluator, ...]:
    """Evaluators without a model, in their order."""
    return tuple(Evaluator(config) for config in configs)


def meaning_of(config: EvaluatorConfig) -> dict[str, Any]:
    """The settings that a verdict depends on, as JSON values; those that have their defaults are left out."""
    settings = config.model_dump(mode="json", exclude_defaults=True, exclude=_NOT_MEANING)
    check = config.check.model_dump(mode="json", exclude_defaults=True, exclude=_NO_MEANING_OF_JUDGES)
    return {**settings, "check": {**check, "kind": config.check.kind}}
