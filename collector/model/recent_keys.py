"""Which keys were met lately, in little memory."""

from collections.abc import Hashable

from rbloom import Bloom

_FALSE_POSITIVES = 0.01


class RecentKeys:
    """At least the last `max_keys` keys, at most twice as many, and one in a hundred others by mistake.

    Two generations, so that a full filter is forgotten and not always right.
    """

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._now, self._before, self._count = Bloom(max_keys, _FALSE_POSITIVES), Bloom(max_keys, _FALSE_POSITIVES), 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._now or key in self._before

    def add(self, key: Hashable) -> None:
        if key in self._now:
            return
        if self._count >= self._max_keys:
            self._before, self._now, self._count = self._now, Bloom(self._max_keys, _FALSE_POSITIVES), 0
        self._now.add(key)
        self._count += 1
