"""Corrections for looking at several metrics at once. Both give adjusted p in the order they were given."""

from collections.abc import Sequence


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjusted so that what is below q is wrong in a share q of the findings."""
    order = sorted(range(len(ps)), key=ps.__getitem__, reverse=True)
    adjusted, least = [1.0] * len(ps), 1.0
    for rank, position in zip(range(len(ps), 0, -1), order, strict=True):
        least = min(least, ps[position] * len(ps) / rank)
        adjusted[position] = least
    return adjusted


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted so that anything below alpha is wrong with probability alpha at most."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, most = [1.0] * len(ps), 0.0
    for rank, position in enumerate(order):
        most = max(most, min(1.0, ps[position] * (len(ps) - rank)))
        adjusted[position] = most
    return adjusted
