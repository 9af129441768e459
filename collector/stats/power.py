"""How much a comparison could have seen: the smallest change it finds four times out of five."""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from collector.stats.intervals import student_quantile
from collector.stats.paired import Floats

POWER: Final = 0.8
_NEGLIGIBLE = 1e-9
_MAX_CASES = 1_000  # beyond, what can be seen shrinks with the square root


def detectable_drop(cases: int, noise: float, alpha: float = 0.05, min_effect: float = 0.0) -> float | None:
    """The smallest fall of a pass rate that one trial of so many paired cases finds with a power of 0.8.

    `noise` is the share of cases that change either way without cause. None when no fall would be found.
    """
    if cases > _MAX_CASES:
        least = detectable_drop(_MAX_CASES, noise, alpha)
        return None if least is None else max(min_effect, least * math.sqrt(_MAX_CASES / cases))
    found = _first(cases, round(min(1.0, noise), 4), alpha, min_effect)
    return None if found is None else found / cases


@lru_cache(maxsize=256)
def _first(cases: int, noise: float, alpha: float, min_effect: float) -> int | None:
    low, high = 0, cases
    if drop_power(cases, 1.0, noise, alpha, min_effect) < POWER:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        enough = drop_power(cases, middle / cases, noise, alpha, min_effect) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def drop_power(cases: int, drop: float, noise: float, alpha: float, min_effect: float = 0.0) -> float:
    """The probability that a fall of `drop` is found: p below alpha, and at least `min_effect` seen."""
    improved = min(noise / 2, max(0.0, 1 - drop) / 2)
    worsened = min(improved + drop, 1 - improved)
    changed = improved + worsened
    if changed <= 0:
        return 0.0
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, cases + 1)))))
    counts = np.arange(cases + 1)
    likely = _binomials(logs, cases, counts, changed)
    total = 0.0
    for count in counts[likely > _NEGLIGIBLE].tolist():
        least = max(_least_worsened(count, alpha), math.ceil((count + min_effect * cases) / 2 - 1e-9))
        if least <= count:
            tail = _binomials(logs, count, np.arange(least, count + 1), worsened / changed)
            total += float(likely[count] * tail.sum())
    return total


@lru_cache(maxsize=4_096)
def _least_worsened(changed: int, alpha: float) -> int:
    """How many of the changed cases must be worse for mid-p to fall below alpha; more than all if none suffices."""
    logs = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, changed + 1)))))
    at = _binomials(logs, changed, np.arange((changed + 1) // 2), 0.5)
    return changed + 1 - int(np.count_nonzero(2 * np.cumsum(at) - at < alpha))


def _binomials(logs: Floats, n: int, ks: "np.ndarray[tuple[int], np.dtype[np.int64]]", probability: float) -> Floats:
    """The probability of each of `ks` among `n`; `logs` holds the logarithms of factorials."""
    if probability >= 1:
        return np.where(ks == n, 1.0, 0.0)
    weights = logs[n] - logs[ks] - logs[n - ks]
    shown: Floats = np.exp(weights + ks * math.log(probability) + (n - ks) * math.log1p(-probability))
    return shown


def detectable_change(differences: Sequence[float], alpha: float = 0.05) -> float | None:
    """The smallest true mean of such paired differences that a two-sided t test finds with a power of 0.8."""
    if len(differences) < 2:
        return None
    mean = math.fsum(differences) / len(differences)
    error = math.sqrt(math.fsum((one - mean) ** 2 for one in differences) / (len(differences) - 1) / len(differences))
    freedom = len(differences) - 1
    return (student_quantile(1 - alpha / 2, freedom) + student_quantile(POWER, freedom)) * error
