"""Kinder memory: what budgets remember is hundred thousands of small objects, and others wait for whoever sweeps them.

The interpreter's collector of cycles stops every thread while it visits objects, about 0.3 us each: for a batch of
20,000 spans tens of milliseconds, for all that is remembered some tenths of a second.
"""

from collections.abc import Iterable
from typing import Any

__all__ = ["discard", "leave_out"]

_AT_ONCE = 500

try:
    from collector.budgets._collected import leave_out
except ImportError:

    def leave_out(objects: Iterable[object]) -> None:
        """Keep the collector from visiting objects that are never part of a cycle; they live by their references.

        A no-op where the native module was not compiled.
        """


def discard(sums: dict[Any, Any]) -> None:
    """Empty a dictionary that was replaced, bit by bit: freed at once, all of it would be one long step.

    Whoever reads without a lock has to look afterwards whether what it has read is still in use.
    """
    while sums:
        for _ in range(min(_AT_ONCE, len(sums))):
            sums.popitem()
