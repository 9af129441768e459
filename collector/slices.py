"""Kinder memory: no other thread runs during one step of the interpreter, however long it is."""

from typing import Any

_AT_ONCE = 500


def clear_in_slices(sums: dict[Any, Any]) -> None:
    """Empty a dictionary that was replaced, bit by bit: freed at once, all of it would be one long step.

    Whoever reads without a lock has to look afterwards whether what it has read is still in use.
    """
    while sums:
        for _ in range(min(_AT_ONCE, len(sums))):
            sums.popitem()
