"""The gate's verdict: checks in their order, of which the worst decides."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from fnmatch import fnmatchcase
from types import MappingProxyType

from collector.gate.calibration import Measured
from collector.gate.compare import Compared, Conclusion, compare, value_of
from collector.gate.policy import HIGHER_IS_BETTER, LimitConfig, Loaded, MetricConfig
from collector.gate.record import Record, Trial
from collector.model.evaluations import EvalStatus, Verdict

SUSPECT = "suspect_injection"


class Exit(IntEnum):
    """Exit codes of `spanmeter gate`."""

    PASSED = 0
    FAILED = 1
    BAD_CONFIG = 2
    CANNOT_START = 3
    INCOMPLETE = 4
    CANNOT_TELL = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One step of the policy, and a sentence for each thing that is wrong with it."""

    name: str
    problems: tuple[str, ...]
    exit: Exit

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@dataclass(frozen=True, slots=True)
class Decided:
    """A gate's result. `newly_failing` are cases that passed in the baseline and do not any more."""

    loaded: Loaded
    old: Record | None
    new: Record
    checks: tuple[Check, ...]
    metrics: tuple[Compared, ...]
    newly_failing: tuple[str, ...]
    measured: Mapping[str, Measured] = field(default_factory=dict)

    @property
    def uncalibrated(self) -> tuple[str, ...]:
        """The judges that do not agree with people as far as the policy asks, or of which nobody knows."""
        return uncalibrated(self.loaded, self.new, self.measured)

    def title(self, config: MetricConfig) -> str:
        """Of a metric, for people."""
        return title_of(config, self.uncalibrated)

    @property
    def exit(self) -> Exit:
        """The worst: what has failed, then what is not usable, then what is incomplete, then what cannot be told."""
        found = {check.exit for check in self.checks if not check.passed}
        order = (Exit.FAILED, Exit.BAD_CONFIG, Exit.INCOMPLETE, Exit.CANNOT_TELL)
        return next((code for code in order if code in found), Exit.PASSED)


def uncalibrated(loaded: Loaded, new: Record, measured: Mapping[str, Measured]) -> tuple[str, ...]:
    """The judges that are not known to agree with people, in the revision that has judged."""
    wanted = loaded.policy.calibration

    def agrees(name: str) -> bool:
        one = measured.get(name)
        if one is None or one.low is None or not one.is_of(new.evaluators.get(name, "")):
            return False
        return one.labels >= wanted.min_labels and one.low > wanted.min_kappa

    return tuple(name for name in loaded.judges if not agrees(name))


def doubt(evaluator: str, doubted: Collection[str]) -> str:
    """What follows the name of a judge that is not calibrated."""
    return " (uncalibrated judge)" if evaluator in doubted else ""


def title_of(config: MetricConfig, doubted: Collection[str]) -> str:
    """Of a metric, for people: without an evaluator it is of all, judges included."""
    if doubted and config.metric in HIGHER_IS_BETTER and not config.evaluator:
        return f"{config.title} (uncalibrated judges included)"
    return config.title + doubt(config.evaluator, doubted)


def decide(
    loaded: Loaded, old: Record | None, new: Record, measured: Mapping[str, Measured] = MappingProxyType({})
) -> Decided:
    """What the policy says of a record and its baseline. `measured` is what is known of judges, by name. Pure."""
    doubted = uncalibrated(loaded, new, measured)
    complete = Check("complete", tuple(_incomplete(loaded, old, new)), Exit.INCOMPLETE)
    comparable = Check("comparable", tuple(_incomparable(old, new)), Exit.BAD_CONFIG)
    required = Check("required", tuple(_failing_required(loaded, new, doubted)), Exit.FAILED)
    failing = tuple(_newly_failing(old, new)) if old and comparable.passed else ()
    kept = [name for name in failing if any(fnmatchcase(name, pattern) for pattern in loaded.protected)]
    protected = Check("protected", tuple(_sentences(kept, new, doubted)), Exit.FAILED)
    usable = old is not None and comparable.passed
    metrics = tuple(compare(loaded.metrics, old, new, loaded.policy.alpha)) if old and usable else ()
    checks = [
        complete,
        comparable,
        required,
        protected,
        *_metric_checks(loaded, metrics, old, doubted, complete=complete.passed),
        *_calibrated(loaded, doubted),
    ]
    limits = Check("limits", tuple(_beyond_limits(loaded.policy.limits, new)), Exit.FAILED)
    return Decided(loaded, old, new, (*checks, limits), metrics, failing, measured)


def _calibrated(loaded: Loaded, doubted: Sequence[str]) -> Iterator[Check]:
    wanted = loaded.policy.calibration
    if wanted.required:
        needs = f"{wanted.min_labels} labels and a kappa surely above {wanted.min_kappa:g}"
        told = [
            f"The judge {name} is not calibrated: it needs {needs} (`spanmeter gate calibrate`)." for name in doubted
        ]
        yield Check("calibrated", tuple(told), Exit.CANNOT_TELL)


def _metric_checks(
    loaded: Loaded, metrics: Sequence[Compared], old: Record | None, doubted: Collection[str], *, complete: bool
) -> Iterator[Check]:
    """What part of the cases alone says of a metric decides nothing."""
    gating = [one for one in metrics if one.config.gating] if complete else []

    def title(one: Compared) -> str:
        return title_of(one.config, doubted)

    worse = tuple(f"{title(one)} regressed." for one in gating if one.conclusion is Conclusion.REGRESSED)
    yield Check("metrics", worse, Exit.FAILED)
    if loaded.policy.strict:
        untold = [f"{title(one)}: cannot tell." for one in gating if one.conclusion is Conclusion.CANNOT_TELL]
        none = [] if old else ["There is no approved baseline to compare with."]
        yield Check("strict", (*none, *untold), Exit.CANNOT_TELL)


def _incomplete(loaded: Loaded, old: Record | None, new: Record) -> Iterator[str]:
    if not new.cases:
        yield "No run of a case arrived: does the command export OTLP to OTEL_EXPORTER_OTLP_ENDPOINT?"
        return
    expected = set(loaded.policy.cases) or (set(old.cases) if old else set())
    if expected:
        yield from (f"The case {name!r} did not run." for name in sorted(expected - set(new.cases)))
        yield from (f"The case {name!r} is not expected." for name in sorted(set(new.cases) - expected))
    for pattern in loaded.policy.required:
        if not any(fnmatchcase(name, pattern) for name in new.cases):
            yield f"No case matches {pattern!r}, which is required."
    for name, trials in new.cases.items():
        if len(trials) != loaded.policy.trials:
            yield f"The case {name!r} ran {len(trials)} times, and {loaded.policy.trials} are expected."
        for trial in trials:
            yield from _flaws(name, trial)


def _flaws(name: str, trial: Trial) -> Iterator[str]:
    if trial.unpriced:
        yield f"The case {name!r} has calls without a price."
    for evaluator, found in trial.outcomes.items():
        if found.status is EvalStatus.ERROR:
            yield f"The evaluator {evaluator} failed on {name!r}: {found.reason}"
        elif SUSPECT in found.flags and found.verdict is Verdict.PASS:
            yield f"The case {name!r} passes {evaluator}, and its text speaks to the judge; a person has to look at it."


def _incomparable(old: Record | None, new: Record) -> Iterator[str]:
    if old is None:
        return
    if not old.approved_by:
        yield "The baseline is not approved."
    for name, revision in new.evaluators.items():
        before = old.evaluators.get(name)
        if before != revision:
            changed = "is new" if before is None else "has changed"
            yield f"The evaluator {name} {changed} since the baseline; judge it again with `gate baseline approve`."
    for name in sorted(set(old.cases) & set(new.cases)):
        inputs = [{trial.input_hash for trial in side.cases[name]} for side in (old, new)]
        if inputs[0] != inputs[1]:
            yield f"The input of the case {name!r} has changed since the baseline."


def passes(trials: Sequence[Trial]) -> bool | None:
    """Whether most of a case's trials pass; None without verdicts. As many of each is no pass."""
    verdicts = [trial.passed for trial in trials if trial.passed is not None]
    return 2 * sum(verdicts) > len(verdicts) if verdicts else None


def _failing_required(loaded: Loaded, new: Record, doubted: Collection[str]) -> Iterator[str]:
    for pattern in loaded.policy.required:
        matching = [name for name in new.cases if fnmatchcase(name, pattern)]
        yield from _sentences((name for name in matching if not passes(new.cases[name])), new, doubted)


def _newly_failing(old: Record, new: Record) -> Iterator[str]:
    for name in sorted(set(old.cases) & set(new.cases)):
        if passes(old.cases[name]) and passes(new.cases[name]) is False:
            yield name


def _sentences(names: Iterable[str], new: Record, doubted: Collection[str]) -> Iterator[str]:
    for name in names:
        yield f"The case {name!r} fails: {why(new.cases[name], doubted)}"


def why(trials: Sequence[Trial], doubted: Collection[str]) -> str:
    """The first reason for which a case fails."""
    for trial in trials:
        for evaluator, found in trial.outcomes.items():
            if found.verdict is Verdict.FAIL:
                return f"{evaluator}{doubt(evaluator, doubted)}: {found.reason}"
    return "nothing was judged."


def _beyond_limits(limits: Sequence[LimitConfig], new: Record) -> Iterator[str]:
    for limit in limits:
        metric = MetricConfig(metric=limit.metric, evaluator=limit.evaluator)
        values = {name: value_of(metric, trials) for name, trials in new.cases.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            yield f"{metric.title} is not known of {len(values) - len(known)} cases, and is limited."
        if limit.of == "case":
            yield from filter(None, (_beyond(f"{metric.title} of {name!r}", one, limit) for name, one in known.items()))
        elif known:
            total = sum(known.values())
            value = total if limit.of == "total" else total / len(known)
            yield from filter(None, [_beyond(f"The {limit.of} of {metric.title}", value, limit)])


def _beyond(what: str, value: float, limit: LimitConfig) -> str:
    if limit.max is not None and value > limit.max:
        return f"{what} is {value:.6g}, more than {limit.max:g}."
    if limit.min is not None and value < limit.min:
        return f"{what} is {value:.6g}, less than {limit.min:g}."
    return ""
