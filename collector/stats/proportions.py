"""Intervals of rates and of their differences, by scores: they stay within what is possible, also for few cases."""

import math
from typing import NamedTuple

from collector.stats.intervals import Z95, Interval


class PairedCounts(NamedTuple):
    """Cases by where they pass: the new side is compared with the old."""

    both: int
    new_only: int
    old_only: int
    neither: int

    @property
    def cases(self) -> int:
        """How many there are."""
        return sum(self)

    @property
    def difference(self) -> float:
        """The new rate minus the old; 0 without cases."""
        return (self.new_only - self.old_only) / self.cases if self.cases else 0.0


class Difference(NamedTuple):
    """An estimate with its interval."""

    value: float
    interval: Interval


def wilson(passed: int, cases: int, z: float = Z95) -> Interval:
    """The score interval of a rate; all of [0, 1] without cases."""
    if not cases:
        return Interval(0.0, 1.0)
    rate, square = passed / cases, z * z
    middle = (rate + square / (2 * cases)) / (1 + square / cases)
    half = z * math.sqrt(rate * (1 - rate) / cases + square / (4 * cases * cases)) / (1 + square / cases)
    return Interval(0.0 if passed == 0 else middle - half, 1.0 if passed == cases else middle + half)


def independent_difference(new: tuple[int, int], old: tuple[int, int], z: float = Z95) -> Difference:
    """Rate minus rate of two unrelated samples, each (passed, cases): Newcombe's hybrid of two score intervals."""
    (new_rate, new_score), (old_rate, old_score) = _rated(*new, z), _rated(*old, z)
    value = new_rate - old_rate
    low = value - math.hypot(new_rate - new_score.low, old_score.high - old_rate)
    high = value + math.hypot(new_score.high - new_rate, old_rate - old_score.low)
    return Difference(value, Interval(low, high))


def paired_difference(counts: PairedCounts, z: float = Z95) -> Difference:
    """New rate minus old rate over the same cases: Newcombe's paired score interval (his method 10).

    It is [-1, 1] without cases.
    """
    if not counts.cases:
        return Difference(0.0, Interval(-1.0, 1.0))
    cases = counts.cases
    new_rate, new_score = _rated(counts.both + counts.new_only, cases, z)
    old_rate, old_score = _rated(counts.both + counts.old_only, cases, z)
    related, value = _correlation(counts), counts.difference
    low = _distance(new_rate - new_score.low, old_score.high - old_rate, related)
    high = _distance(new_score.high - new_rate, old_rate - old_score.low, related)
    return Difference(value, Interval(max(-1.0, value - low), min(1.0, value + high)))


def _rated(passed: int, cases: int, z: float) -> tuple[float, Interval]:
    return (passed / cases if cases else 0.0), wilson(passed, cases, z)


def _distance(one: float, other: float, related: float) -> float:
    return math.sqrt(max(0.0, one * one - 2 * related * one * other + other * other))


def _correlation(counts: PairedCounts) -> float:
    """Phi of the two outcomes, corrected for continuity when it is positive, as method 10 has it."""
    both, new_only, old_only, neither = counts
    margins = (both + new_only) * (old_only + neither) * (both + old_only) * (new_only + neither)
    if not margins:
        return 0.0
    product = float(both * neither - new_only * old_only)
    if product > 0:
        product = max(0.0, product - counts.cases / 2)
    return product / math.sqrt(margins)
