"""Intervals, and the quantiles they are made with."""

import math
from statistics import NormalDist
from typing import Final, NamedTuple

Z95: Final = NormalDist().inv_cdf(0.975)
_STANDARD = NormalDist()
_STEPS = 300
_TINY = 1e-300


class Interval(NamedTuple):
    """Both ends included; in the unit of what was estimated."""

    low: float
    high: float


def normal_cdf(value: float) -> float:
    """How much of the standard normal distribution lies below."""
    return _STANDARD.cdf(value)


def normal_quantile(probability: float) -> float:
    """The value with so much of the standard normal distribution below it; `probability` within 0 and 1."""
    return _STANDARD.inv_cdf(probability)


def student_two_sided(t: float, freedom: float) -> float:
    """The probability of a Student's t at least as far from 0."""
    share = t * t / (freedom + t * t)
    if share < 0.5:
        return 1 - _incomplete_beta(0.5, freedom / 2, share)
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def student_quantile(probability: float, freedom: float) -> float:
    """The value with so much of Student's distribution below it; found to within 1e-12 of itself."""
    if probability == 0.5:
        return 0.0
    if probability < 0.5:
        return -student_quantile(1 - probability, freedom)
    beyond = 2 * (1 - probability)
    low, high = 0.0, 1.0
    while student_two_sided(high, freedom) > beyond:
        low, high = high, high * 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if student_two_sided(middle, freedom) > beyond else (low, middle)
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    factors = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(factors) * (_fraction(a, b, x) - 1) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Lentz's evaluation of the continued fraction of the incomplete beta function."""
    numerator, denominator, value = 1.0, 0.0, 1.0
    for step in range(_STEPS):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        denominator = 1 / _nonzero(1 + term * denominator)
        numerator = _nonzero(1 + term / numerator)
        value *= numerator * denominator
        if step and abs(numerator * denominator - 1) < 1e-15:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
