"""Tests and intervals of the same cases before and after. The unit is the case: trials are averaged before."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from collector.stats.intervals import Interval, normal_cdf, normal_quantile, student_quantile, student_two_sided

RESAMPLES: Final = 9_999
_MAX_ENUMERATED = 14  # cases of which all 2^n signs are tried
_ROWS = 1_000  # resamples at once: what bounds memory
Floats = NDArray[np.float64]


class GeometricRatio(NamedTuple):
    """new / old of a typical case, with its interval, and the probability of one as far from 1 by chance."""

    value: float
    interval: Interval
    p: float


def mcnemar_exact(new_only: int, old_only: int) -> float:
    """The two-sided probability of so uneven a split of the cases that changed, if either way were as likely."""
    return min(1.0, 2 * _binomial_tail(new_only, old_only))


def mcnemar_mid_p(new_only: int, old_only: int) -> float:
    """As `mcnemar_exact`, with half of the probability of this very split: closer to the rate that was asked for."""
    if new_only == old_only:
        return 1.0
    return 2 * _binomial_tail(new_only, old_only) - _binomial_at(new_only, old_only)


def _binomial_at(one: int, other: int) -> float:
    return math.exp(_log_choose(one + other, min(one, other)) - (one + other) * math.log(2))


def _binomial_tail(one: int, other: int) -> float:
    changed = one + other
    return math.fsum(math.exp(_log_choose(changed, k) - changed * math.log(2)) for k in range(min(one, other) + 1))


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def seed_of(names: Iterable[str]) -> int:
    """A seed for what is drawn at random about these cases: the same for the same names, in any order."""
    digest = hashlib.sha256()
    for name in sorted(names):
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return int.from_bytes(digest.digest()[:8], "big")


def sign_flip(differences: Sequence[float], seed: int) -> float:
    """The probability of a mean as far from 0 if each difference could as well have had the other sign.

    All signs up to 14 cases; of more 9,999 at random, and the signs that were seen.
    """
    values = np.asarray(differences, dtype=np.float64)
    seen = abs(math.fsum(differences)) * (1 - 1e-12) - 1e-15  # equal sums that were added in another order are equal
    if len(values) <= _MAX_ENUMERATED:
        patterns = np.arange(2 ** len(values), dtype=np.int64)
        signs = 1.0 - 2.0 * ((patterns[:, None] >> np.arange(len(values))) & 1)
        return float(np.mean(np.abs(signs @ values) >= seen))
    generator, beyond = np.random.default_rng(seed), 0
    for rows in _chunks():
        signs = 1.0 - 2.0 * generator.integers(0, 2, (rows, len(values)))
        beyond += int(np.count_nonzero(np.abs(signs @ values) >= seen))
    return (beyond + 1) / (RESAMPLES + 1)


def mean_interval(values: Sequence[float], seed: int, level: float = 0.95) -> Interval:
    """The bias-corrected and accelerated bootstrap interval of a mean, from 9,999 resamples."""
    sample = np.asarray(values, dtype=np.float64)
    mean = float(sample.mean())
    spread = sample - mean
    if not np.any(np.abs(spread) > 1e-15):
        return Interval(mean, mean)
    means = _resampled_means(sample, seed)
    bias = _bias(means, mean)
    squares = float(np.sum(spread**2))
    acceleration = float(np.sum(spread**3)) / (6 * squares**1.5)
    ends = (_corrected(tail, bias, acceleration) for tail in ((1 - level) / 2, (1 + level) / 2))
    low, high = np.quantile(means, list(ends))
    return Interval(float(low), float(high))


def _bias(means: Floats, mean: float) -> float:
    below = (np.count_nonzero(means < mean) + np.count_nonzero(means == mean) / 2) / len(means)
    return normal_quantile(min(max(below, 1 / len(means)), 1 - 1 / len(means)))


def _corrected(tail: float, bias: float, acceleration: float) -> float:
    moved = bias + normal_quantile(tail)
    return normal_cdf(bias + moved / (1 - acceleration * moved))


def _resampled_means(sample: Floats, seed: int) -> Floats:
    generator = np.random.default_rng(seed)
    parts = [sample[generator.integers(0, len(sample), (rows, len(sample)))].mean(axis=1) for rows in _chunks()]
    return np.concatenate(parts)


def _chunks() -> Iterable[int]:
    yield from (min(_ROWS, RESAMPLES - start) for start in range(0, RESAMPLES, _ROWS))


def geometric_ratio(old: Sequence[float], new: Sequence[float], level: float = 0.95) -> GeometricRatio:
    """Student's t on log(new / old) of each case; both positive and as long. One case proves nothing."""
    logs = [math.log(after / before) for before, after in zip(old, new, strict=True)]
    mean = math.fsum(logs) / len(logs)
    if len(logs) < 2:
        return GeometricRatio(math.exp(mean), Interval(0.0, math.inf), 1.0)
    error = math.sqrt(math.fsum((log - mean) ** 2 for log in logs) / (len(logs) - 1) / len(logs))
    if error <= 1e-15:
        return GeometricRatio(math.exp(mean), Interval(math.exp(mean), math.exp(mean)), float(abs(mean) <= 1e-15))
    half = student_quantile((1 + level) / 2, len(logs) - 1) * error
    p = student_two_sided(mean / error, len(logs) - 1)
    return GeometricRatio(math.exp(mean), Interval(math.exp(mean - half), math.exp(mean + half)), p)


def totals_ratio(old: Sequence[float], new: Sequence[float], seed: int, level: float = 0.95) -> Interval:
    """The interval of sum(new) / sum(old), by the bootstrap of its log's Student t: to be shown, not decided on."""
    before, after = np.asarray(old, dtype=np.float64), np.asarray(new, dtype=np.float64)
    value, error = _log_ratio(before[None, :], after[None, :])
    if len(before) < 2 or error[0] <= 1e-15:
        end = float(np.exp(value[0]))
        return Interval(end, end) if len(before) > 1 else Interval(0.0, math.inf)
    generator, studied = np.random.default_rng(seed), []
    for rows in _chunks():
        drawn = generator.integers(0, len(before), (rows, len(before)))
        resampled, its_error = _log_ratio(before[drawn], after[drawn])
        studied.append((resampled - value[0]) / np.maximum(its_error, 1e-15))
    low, high = np.quantile(np.concatenate(studied), [(1 + level) / 2, (1 - level) / 2])
    return Interval(float(np.exp(value[0] - low * error[0])), float(np.exp(value[0] - high * error[0])))


def _log_ratio(before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """log(sum of `after` / sum of `before`) of each row, and its standard error by the delta method."""
    total_before, total_after = before.sum(axis=1), after.sum(axis=1)
    influence = after / total_after[:, None] - before / total_before[:, None]
    return np.log(total_after / total_before), np.sqrt(np.sum(influence**2, axis=1))
