"""Sums of costs, of which some are not known."""

from collections.abc import Iterable
from decimal import Decimal
from functools import reduce


def added(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    """The sum; what is None has no part in it, and two of them have none."""
    return other if one is None else one if other is None else one + other


def total(costs: Iterable[Decimal | None]) -> Decimal | None:
    """What is known of them together; None when nothing is."""
    return reduce(added, costs, None)
