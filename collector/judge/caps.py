"""The cap of an evaluator: before each call its worst case is set aside, so that the cap is never passed."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Hold(Protocol):
    """An amount that is set aside for one call. It is settled or released once; else it stays until it expires."""

    @property
    def id(self) -> str:
        """What the call's span carries, so that counting it lets the amount go; empty when nothing is followed."""
        ...

    async def settle(self, pico: int | None, tokens: int = 0) -> None:
        """The call has cost so much; None: nobody knows, and the worst case counts."""
        ...

    async def release(self) -> None:
        """There was no call."""
        ...


class Cap(Protocol):
    """Where amounts are set aside."""

    async def reserve(self, stated: Mapping[str, str], pico: int, tokens: int = 0) -> Hold | None:
        """Set `pico` and `tokens` aside for a call of what `stated` says (by dimension); None when there is no room."""
        ...


class CallCap:
    """A cap of one gate, back-fill or test: so much in all, or so many calls, for as long as this process lives."""

    def __init__(self, pico: int | None = None, calls: int | None = None) -> None:
        self._limit = pico
        self._calls = calls
        self.spent = 0
        self.held = 0

    @property
    def max_calls(self) -> int | None:
        """How many calls may still begin; None when they are not counted."""
        return self._calls

    async def reserve(self, stated: Mapping[str, str], pico: int, tokens: int = 0) -> Hold | None:  # noqa: ARG002 - the contract's
        if self._calls is not None and self._calls <= 0:
            return None
        if self._limit is not None and self.spent + self.held + pico > self._limit:
            return None
        if self._calls is not None:
            self._calls -= 1
        self.held += pico
        return _Held(self, pico)

    def end(self, held: int, spent: int) -> None:
        """Of what was set aside, `spent` was needed."""
        self.held -= held
        self.spent += spent


class _Held:
    id = ""

    def __init__(self, cap: CallCap, pico: int) -> None:
        self._cap = cap
        self._pico = pico

    async def settle(self, pico: int | None, tokens: int = 0) -> None:  # noqa: ARG002 - the contract's
        self._cap.end(self._pico, self._pico if pico is None else pico)

    async def release(self) -> None:
        self._cap.end(self._pico, 0)


class Both(NamedTuple):
    """Two caps at once: an amount is set aside in each or in none."""

    first: Cap
    second: Cap

    async def reserve(self, stated: Mapping[str, str], pico: int, tokens: int = 0) -> Hold | None:
        one = await self.first.reserve(stated, pico, tokens)
        if one is None:
            return None
        other = await self.second.reserve(stated, pico, tokens)
        if other is None:
            await one.release()
            return None
        return _HeldTwice(one, other)


class _HeldTwice:
    def __init__(self, first: Hold, second: Hold) -> None:
        self._holds = first, second

    @property
    def id(self) -> str:
        return next((hold.id for hold in self._holds if hold.id), "")

    async def settle(self, pico: int | None, tokens: int = 0) -> None:
        for hold in self._holds:
            await hold.settle(pico, tokens)

    async def release(self) -> None:
        for hold in self._holds:
            await hold.release()
