"""One metric before and after, over the same cases: regressed, not worse, or cannot tell, and what could be seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from collector.gate.policy import HIGHER_IS_BETTER, RATE, SCORE, MetricConfig
from collector.gate.record import Record, Trial
from collector.stats.intervals import Interval
from collector.stats.multiple import holm
from collector.stats.paired import (
    geometric_ratio,
    mcnemar_mid_p,
    mean_interval,
    seed_of,
    sign_flip,
    totals_ratio,
)
from collector.stats.power import detectable_change, detectable_drop
from collector.stats.proportions import PairedCounts, paired_difference


class Conclusion(StrEnum):
    """What the numbers say of a metric."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    NOT_WORSE = "not worse"
    CANNOT_TELL = "cannot tell"


class Method(StrEnum):
    """How it was decided."""

    MCNEMAR = "McNemar mid-p"
    SIGN_FLIP = "sign flip"
    LOG_RATIO = "t on log ratios"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Compared:
    """A metric on both sides. `change` and `interval` are differences, or new / old where the test is of ratios.

    `cases` are those with a value on both sides; `without`, those that lack one. `improved` and `worsened` count cases.
    `detectable` is the smallest change for the worse that these cases would have shown four times out of five, in the
    unit of `change`; None when they would have shown none. `totals` is the interval of the ratio of totals, for money.
    """

    config: MetricConfig
    test: Method
    cases: int
    without: int
    old: float | None = None
    new: float | None = None
    change: float | None = None
    interval: Interval | None = None
    p: float = 1.0
    adjusted_p: float = 1.0
    improved: int = 0
    worsened: int = 0
    detectable: float | None = None
    totals: Interval | None = None
    flip_rate: float = 0.0
    conclusion: Conclusion = Conclusion.CANNOT_TELL

    @property
    def is_ratio(self) -> bool:
        """Whether `change` is new / old."""
        return self.test is Method.LOG_RATIO


def compare(metrics: Sequence[MetricConfig], old: Record, new: Record, alpha: float) -> list[Compared]:
    """Every metric; those that gate are corrected for being several."""
    found = [_compared(one, old, new, alpha) for one in metrics]
    gating = [position for position, one in enumerate(metrics) if one.gating]
    for position, p in zip(gating, holm([found[position].p for position in gating]), strict=True):
        found[position] = replace(found[position], adjusted_p=p)
    return [_concluded(one if one.config.gating else replace(one, adjusted_p=one.p), alpha) for one in found]


def value_of(config: MetricConfig, trials: Sequence[Trial]) -> float | None:
    """The metric of a case: the mean of its trials; None when one lacks it."""
    values = [_value(config, trial) for trial in trials]
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(values) else None


def _value(config: MetricConfig, trial: Trial) -> float | None:
    if config.metric == RATE:
        verdict = trial.verdict(config.evaluator)
        return None if verdict is None else float(verdict)
    if config.metric == SCORE:
        found = trial.outcomes.get(config.evaluator)
        return found.score if found else None
    return trial.figures.get(config.metric)


def _compared(config: MetricConfig, old: Record, new: Record, alpha: float) -> Compared:
    names = sorted(set(old.cases) & set(new.cases))
    pairs = {name: (value_of(config, old.cases[name]), value_of(config, new.cases[name])) for name in names}
    known = {
        name: (before, after) for name, (before, after) in pairs.items() if before is not None and after is not None
    }
    blank = Compared(config, Method.NONE, len(known), len(names) - len(known), flip_rate=_flip_rate(config, old, new))
    if not known:
        return blank
    before, after = [one for one, _ in known.values()], [one for _, one in known.values()]
    blank = replace(blank, old=math.fsum(before) / len(before), new=math.fsum(after) / len(after))
    better = 1 if config.metric in HIGHER_IS_BETTER else -1
    differences = [better * (later - earlier) for earlier, later in known.values()]
    blank = replace(blank, improved=sum(d > 0 for d in differences), worsened=sum(d < 0 for d in differences))
    if config.metric == RATE and max(old.trials, new.trials) == 1:
        return _paired_verdicts(blank, before, after, alpha)
    if config.metric not in HIGHER_IS_BETTER and min(*before, *after) > 0:
        return _ratios(blank, known)
    return _differences(blank, known, alpha)


def _flip_rate(config: MetricConfig, old: Record, new: Record) -> float:
    """How far a judge's own contradictions alone move its verdicts."""
    rates: Mapping[str, float] = {**old.flip_rates, **new.flip_rates}
    if config.metric not in HIGHER_IS_BETTER:
        return 0.0
    return rates.get(config.evaluator, 0.0) if config.evaluator else max(rates.values(), default=0.0)


def _paired_verdicts(blank: Compared, before: Sequence[float], after: Sequence[float], alpha: float) -> Compared:
    pairs = list(zip(before, after, strict=True))
    counts = PairedCounts(*(pairs.count(kind) for kind in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0))))
    change = paired_difference(counts)
    noise = 2 * min(counts.new_only, counts.old_only) / counts.cases
    return replace(
        blank,
        test=Method.MCNEMAR,
        change=change.value,
        interval=change.interval,
        p=mcnemar_mid_p(counts.new_only, counts.old_only),
        detectable=detectable_drop(counts.cases, max(noise, blank.flip_rate), alpha, blank.config.effect),
    )


def _ratios(blank: Compared, known: Mapping[str, tuple[float, float]]) -> Compared:
    before, after = [one for one, _ in known.values()], [one for _, one in known.values()]
    ratio = geometric_ratio(before, after)
    least = detectable_change([math.log(later / earlier) for earlier, later in known.values()])
    return replace(
        blank,
        test=Method.LOG_RATIO,
        change=ratio.value,
        interval=ratio.interval,
        p=ratio.p,
        detectable=None if least is None else max(1 + blank.config.effect, math.exp(least)),
        totals=totals_ratio(before, after, seed_of(known)),
    )


def _differences(blank: Compared, known: Mapping[str, tuple[float, float]], alpha: float) -> Compared:
    differences = [later - earlier for earlier, later in known.values()]
    seed = seed_of(known)
    return replace(
        blank,
        test=Method.SIGN_FLIP,
        change=math.fsum(differences) / len(differences),
        interval=mean_interval(differences, seed) if len(differences) > 1 else Interval(-math.inf, math.inf),
        p=sign_flip(differences, seed),
        detectable=detectable_change(differences, alpha),
    )


def _concluded(one: Compared, alpha: float) -> Compared:
    if one.change is None or one.interval is None:
        return one
    worse, worst = _worsening(one)
    margin, effect = one.config.bearable, one.config.effect
    if one.test is Method.SIGN_FLIP and one.config.metric not in HIGHER_IS_BETTER:
        scale = abs(one.old or 0.0)
        margin, effect = margin * scale, effect * scale
    significant = one.adjusted_p < alpha
    if significant and worse > 0 and worse - one.flip_rate >= effect:
        return replace(one, conclusion=Conclusion.REGRESSED)
    if significant and worse < 0:
        return replace(one, conclusion=Conclusion.IMPROVED)
    return replace(one, conclusion=Conclusion.NOT_WORSE if worst < margin else Conclusion.CANNOT_TELL)


def _worsening(one: Compared) -> tuple[float, float]:
    """How much worse it is, and may be at most; of ratios, as a part of the old value."""
    assert one.change is not None
    assert one.interval is not None
    if one.config.metric in HIGHER_IS_BETTER:
        return -one.change, -one.interval.low
    if one.is_ratio:
        return one.change - 1, one.interval.high - 1
    return one.change, one.interval.high
