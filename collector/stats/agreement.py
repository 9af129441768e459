"""How far a judge can be trusted: agreement beyond chance, weighted back to what production looks like."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np

from collector.stats.intervals import Z95, Interval
from collector.stats.paired import RESAMPLES, Floats

T = TypeVar("T")
Table = Sequence[Sequence[float]]
_LEAST_INFORMATIVE = 1.05  # sensitivity + specificity of a judge whose rates can be corrected


class Kappa(NamedTuple):
    """Agreement beyond chance: 1 is perfect, 0 is chance. The interval may leave [-1, 1]: it is a normal one."""

    value: float
    interval: Interval


class Stratum(NamedTuple):
    """Labels of verdicts of one kind: how many people said pass and fail, and that kind's share of production."""

    human_pass: int
    human_fail: int
    share: float

    @property
    def labels(self) -> int:
        """How many there are."""
        return self.human_pass + self.human_fail


class Rates(NamedTuple):
    """Of the runs people pass, the share the judge passes; of those people fail, the share it fails; and kappa."""

    sensitivity: float
    specificity: float
    kappa: float
    raw: float


def kappa(table: Table) -> Kappa:
    """Cohen's kappa of a square table of counts, with the interval of Fleiss, Cohen and Everitt."""
    return _weighted_kappa(table, np.eye(len(table)))


def quadratic_kappa(table: Table) -> Kappa:
    """Kappa of ordered labels: being off by two counts four times as much as being off by one."""
    places = np.arange(len(table), dtype=np.float64)
    apart = (places[:, None] - places[None, :]) / max(1, len(table) - 1)
    return _weighted_kappa(table, 1 - apart**2)


def _weighted_kappa(table: Table, credit: Floats) -> Kappa:
    counts = np.asarray(table, dtype=np.float64)
    n = float(counts.sum())
    if not n:
        return Kappa(math.nan, Interval(math.nan, math.nan))
    shares = counts / n
    rows, columns = shares.sum(axis=1), shares.sum(axis=0)
    agreed, by_chance = float((credit * shares).sum()), float((credit * np.outer(rows, columns)).sum())
    if by_chance >= 1:
        return Kappa(math.nan, Interval(math.nan, math.nan))  # one label only: nothing to tell apart
    value = (agreed - by_chance) / (1 - by_chance)
    expected = (credit @ columns)[:, None] + (rows @ credit)[None, :]
    spread = float((shares * (credit - expected * (1 - value)) ** 2).sum())
    variance = (spread - (value - by_chance * (1 - value)) ** 2) / (n * (1 - by_chance) ** 2)
    half = Z95 * math.sqrt(max(0.0, variance))
    return Kappa(value, Interval(value - half, value + half))


def fleiss_kappa(ratings: Table) -> float:
    """Agreement of several raters; a row an item, a column a label, in it how many raters chose it."""
    counts = np.asarray(ratings, dtype=np.float64)
    raters = float(counts[0].sum())
    items = (np.sum(counts**2, axis=1) - raters) / (raters * (raters - 1))
    labels = counts.sum(axis=0) / counts.sum()
    by_chance = float(np.sum(labels**2))
    return math.nan if by_chance >= 1 else (float(items.mean()) - by_chance) / (1 - by_chance)


def krippendorff_alpha(units: Iterable[Sequence[Hashable]]) -> float:
    """Agreement of people on labels without an order, where not everybody labelled everything.

    A unit is what was said of one item. NaN when no item has two labels, or all labels are one.
    """
    pairable = [unit for unit in units if len(unit) > 1]
    codes: Mapping[Hashable, int] = {label: code for code, label in enumerate(dict.fromkeys(_all(pairable)))}
    return _alpha([[float(codes[label]) for label in unit] for unit in pairable], 1.0 - np.eye(len(codes)))


def krippendorff_interval_alpha(units: Iterable[Sequence[float]]) -> float:
    """As `krippendorff_alpha`, of numbers: disagreement is the square of their distance."""
    pairable = [unit for unit in units if len(unit) > 1]
    values = sorted(set(_all(pairable)))
    places = {value: place for place, value in enumerate(values)}
    scale = np.asarray(values, dtype=np.float64)
    return _alpha([[places[value] for value in unit] for unit in pairable], (scale[:, None] - scale[None, :]) ** 2)


def _all(units: Iterable[Sequence[T]]) -> Iterable[T]:
    return (label for unit in units for label in unit)


def _alpha(units: Sequence[Sequence[float]], distance: Floats) -> float:
    together = np.zeros(distance.shape)
    for unit in units:
        chosen = np.bincount(np.asarray(unit, dtype=np.int64), minlength=len(distance)).astype(np.float64)
        together += (np.outer(chosen, chosen) - np.diag(chosen)) / (len(unit) - 1)
    totals = together.sum(axis=0)
    expected = float((np.outer(totals, totals) * distance).sum())
    if not expected:
        return math.nan
    return 1 - (float(totals.sum()) - 1) * float((together * distance).sum()) / expected


def weighted_rates(judged_pass: Stratum, judged_fail: Stratum) -> Rates:
    """Labels drawn for each verdict apart, weighted back to the shares of verdicts in production."""
    table = np.array([_weighted(judged_pass), _weighted(judged_fail)])
    people_pass, people_fail = table.sum(axis=0)
    agreed = float(table[0, 0] + table[1, 1])
    passed = float(table[0].sum())
    by_chance = passed * people_pass + (1 - passed) * people_fail
    return Rates(
        sensitivity=float(table[0, 0] / people_pass) if people_pass else math.nan,
        specificity=float(table[1, 1] / people_fail) if people_fail else math.nan,
        kappa=float((agreed - by_chance) / (1 - by_chance)) if by_chance < 1 else math.nan,
        raw=agreed,
    )


def _weighted(stratum: Stratum) -> tuple[float, float]:
    if not stratum.labels:
        return 0.0, 0.0
    return stratum.share * stratum.human_pass / stratum.labels, stratum.share * stratum.human_fail / stratum.labels


def weighted_kappa_interval(judged_pass: Stratum, judged_fail: Stratum, seed: int) -> Interval:
    """The interval of the weighted kappa, by drawing each stratum's labels again."""
    generator = np.random.default_rng(seed)
    drawn = [_redrawn(stratum, generator) for stratum in (judged_pass, judged_fail)]
    values = []
    for passing, failing in zip(*drawn, strict=True):
        one = Stratum(int(passing), judged_pass.labels - int(passing), judged_pass.share)
        other = Stratum(int(failing), judged_fail.labels - int(failing), judged_fail.share)
        values.append(weighted_rates(one, other).kappa)
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(float(low), float(high))


def _redrawn(stratum: Stratum, generator: np.random.Generator) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """How many of the stratum people pass, drawn 999 times; a half more either way lets perfection vary."""
    rate = (stratum.human_pass + 0.5) / (stratum.labels + 1)
    return generator.binomial(stratum.labels, rate, (RESAMPLES + 1) // 10 - 1)


def weighted_pass_rate_interval(
    judged_pass: Stratum, judged_fail: Stratum, verdicts: float, seed: int
) -> Interval | None:
    """Of the rate at which people pass, by drawing the verdicts, of which there are so many, and each stratum's labels
    again. None when verdicts of a kind that there is have no labels.
    """
    if any(stratum.share and not stratum.labels for stratum in (judged_pass, judged_fail)) or verdicts < 1:
        return None
    generator = np.random.default_rng(seed)
    draws = (RESAMPLES + 1) // 10 - 1
    shares = generator.binomial(round(verdicts), judged_pass.share, draws) / round(verdicts)
    passing, failing = (_redrawn(stratum, generator) / max(1, stratum.labels) for stratum in (judged_pass, judged_fail))
    low, high = np.quantile(shares * passing + (1 - shares) * failing, [0.025, 0.975])
    return Interval(float(low), float(high))


def corrected_rate(observed: float, sensitivity: float, specificity: float) -> float | None:
    """The pass rate people would find, from that of a judge; None when the judge tells hardly more than chance."""
    if not sensitivity + specificity > _LEAST_INFORMATIVE:
        return None
    return min(1.0, max(0.0, (observed + specificity - 1) / (sensitivity + specificity - 1)))


def corrected_rate_interval(
    observed: tuple[int, int], sensitivity: tuple[int, int], specificity: tuple[int, int], seed: int
) -> Interval | None:
    """The interval of the corrected rate, by drawing both samples again; each is (hits, of how many).

    None when more than one draw in twenty is of a judge that tells hardly more than chance.
    """
    generator = np.random.default_rng(seed)
    rates = [_redrawn_rates(*sample, generator) for sample in (observed, sensitivity, specificity)]
    drawn = [corrected_rate(*one) for one in zip(*(rate.tolist() for rate in rates), strict=True)]
    known = [value for value in drawn if value is not None]
    if len(known) < 0.95 * len(drawn):
        return None
    low, high = np.quantile(known, [0.025, 0.975])
    return Interval(float(low), float(high))


def _redrawn_rates(hits: int, cases: int, generator: np.random.Generator) -> Floats:
    rates: Floats = generator.binomial(cases, hits / cases, RESAMPLES) / cases
    return rates


def flip_rate(outcomes: Iterable[Sequence[bool]]) -> float | None:
    """The share of neighbouring judgements of the same input that differ; None when nothing was judged twice."""
    pairs = [one != other for verdicts in outcomes for one, other in pairwise(verdicts)]
    return sum(pairs) / len(pairs) if pairs else None
