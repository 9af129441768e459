"""The policy of a gate, as its file says it."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from collector.config import EvaluatorConfig, all_evaluators
from collector.config.checks import METRICS
from collector.config.evals import JudgeConfig, JudgeName
from collector.config.evaluators import Evaluators
from collector.config.load import read_yaml, sentences
from collector.config.settings import Section, nearest, refuse, setting
from collector.errors import ConfigError

RATE: Final = "pass_rate"
SCORE: Final = "score"
Metric = Literal[(RATE, SCORE, *METRICS)]  # type: ignore[valid-type]
# Of these a higher value is better; of all others a lower one.
HIGHER_IS_BETTER: Final = {RATE, SCORE}
_MIN_EFFECT: Final = {RATE: 0.0, SCORE: 0.0}
_MARGIN: Final = {RATE: 0.05, SCORE: 0.05}
_TRIALS_THAT_TELL: Final = 3
_OF_RATIOS: Final = (0.1, 0.2)  # smallest effect and margin of cost and the like: parts of what they were


def _names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class MetricConfig(Section):
    metric: Metric = setting(..., "pass_rate, score, or a metric of bounds: cost_usd, duration_ms, ...")
    evaluator: str = setting("", "Whose verdicts or scores; of pass_rate without one, all of them together.")
    min_effect: float | None = setting(None, "Smallest change that counts: points of a rate, else a part of the old.")
    margin: float | None = setting(None, "How much worse is still not worse: likewise.", gt=0)
    gating: bool = setting(True, "Whether a regression fails the gate; else it is shown.")

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.metric} of {self.evaluator}" if self.evaluator else self.metric

    @property
    def effect(self) -> float:
        """The smallest change that counts."""
        return self.min_effect if self.min_effect is not None else _MIN_EFFECT.get(self.metric, _OF_RATIOS[0])

    @property
    def bearable(self) -> float:
        """How much worse is still not worse."""
        return self.margin if self.margin is not None else _MARGIN.get(self.metric, _OF_RATIOS[1])


class LimitConfig(Section):
    metric: Metric = setting(..., "What is limited.")
    evaluator: str = setting("", "Whose verdicts or scores.")
    of: Literal["case", "mean", "total"] = setting("mean", "Of each case, of their mean, or of all together.")
    min: float | None = setting(None, "Least value.")
    max: float | None = setting(None, "Greatest value.")

    @model_validator(mode="after")
    def _bounded(self) -> "LimitConfig":
        if self.min is None and self.max is None:
            refuse([("max", "needs min, max or both")])
        return self


class GateBudget(Section):
    usd: Annotated[Decimal, Field(ge=0)] | None = setting(None, "What judging may cost in one gate.")
    max_calls: int | None = setting(None, "Calls of judges in one gate; needed for models without a price.", ge=1)


class CalibrationConfig(Section):
    required: bool = setting(False, "Whether a gate with a judge that is not calibrated cannot tell.")
    min_kappa: float = setting(
        0.4, "What kappa with people surely exceeds: the lower end of its interval.", ge=-1, lt=1
    )
    min_labels: int = setting(20, "Labels that it takes.", ge=1)
    file: str = setting(".spanmeter/calibration.json", "What `gate calibrate` has measured.")


class Policy(Section):
    """What a gate asks for. Paths are relative to the policy's file."""

    evaluators: Evaluators = setting((), "Evaluators, as in the daemon's settings.")
    evaluator_files: tuple[str, ...] = setting((), "Files of evaluators, by path or pattern.")
    judges: dict[JudgeName, JudgeConfig] = setting({}, "Models that judge, by name.")
    budget: GateBudget = setting(GateBudget(), "What judging may cost.")
    cases: tuple[str, ...] = setting((), "Cases that are expected; without any, those of the baseline.")
    trials: int = setting(1, "Runs of each case.", ge=1, le=100)
    required: Annotated[tuple[str, ...], BeforeValidator(_names)] = setting((), "Cases that have to pass; `*` is any.")
    protected: Annotated[tuple[str, ...] | None, BeforeValidator(_names)] = setting(
        None,
        "Cases that may not newly fail; `*` is any. By default all from three trials on, as one may fail by chance.",
    )
    metrics: tuple[MetricConfig, ...] = setting((), "What is compared; by default pass rates and cost.")
    limits: tuple[LimitConfig, ...] = setting((), "What is bounded whatever it was before.")
    alpha: float = setting(0.05, "How often a gate may fail without cause.", gt=0, lt=0.5)
    calibration: CalibrationConfig = setting(CalibrationConfig(), "How far judges have to agree with people.")
    strict: bool = setting(False, "Whether a gate that cannot tell fails.")
    baseline: str = setting(".spanmeter/baseline.json", "File of the approved baseline.")

    @model_validator(mode="after")
    def _known(self) -> "Policy":
        if not self.evaluators and not self.evaluator_files:
            refuse([("evaluators", "has none; a gate needs evaluators or evaluator_files")])
        return self


class Loaded(Section):
    """A policy with its evaluators, and the directory of its file."""

    policy: Policy
    evaluators: tuple[EvaluatorConfig, ...]
    directory: Path

    @property
    def baseline(self) -> Path:
        """Where the baseline stands."""
        return self.directory / self.policy.baseline

    @property
    def calibration(self) -> Path:
        """Where it stands how far judges agree with people."""
        return self.directory / self.policy.calibration.file

    @property
    def judges(self) -> tuple[str, ...]:
        """The evaluators that ask a model."""
        return tuple(one.name for one in self.evaluators if one.check.kind == "judge")

    @property
    def protected(self) -> tuple[str, ...]:
        """Patterns of the cases that may not newly fail."""
        given = self.policy.protected
        return given if given is not None else (("*",) if self.policy.trials >= _TRIALS_THAT_TELL else ())

    @property
    def metrics(self) -> tuple[MetricConfig, ...]:
        """Those of the policy; by default the pass rate of each evaluator, and cost."""
        rates = tuple(MetricConfig(metric=RATE, evaluator=one.name) for one in self.evaluators)
        return self.policy.metrics or (*rates, MetricConfig(metric="cost_usd"))


def load_policy(path: Path) -> Loaded:
    """The policy in a YAML file. Raises ConfigError, a sentence a mistake."""
    tree = read_yaml(path, "the gate's policy in")
    try:
        policy = Policy.model_validate(tree)
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in sentences(error, Policy))
        raise ConfigError(f"{path} cannot be used:\n{lines}") from None
    patterns = [str(path.parent / pattern) for pattern in policy.evaluator_files]
    evaluators = all_evaluators(policy.evaluators, patterns)
    _refuse_unknown(path, policy, [one.name for one in evaluators])
    return Loaded(policy=policy, evaluators=evaluators, directory=path.parent)


def _refuse_unknown(path: Path, policy: Policy, known: list[str]) -> None:
    named: tuple[MetricConfig | LimitConfig, ...] = (*policy.metrics, *policy.limits)
    for one in named:
        if one.evaluator and one.evaluator not in known:
            raise ConfigError(f"{path}: no evaluator is named {one.evaluator!r}{nearest(one.evaluator, known)}.")
        if one.metric == SCORE and not one.evaluator:
            raise ConfigError(f"{path}: the metric score needs an evaluator.")
