"""Answers that go on: how many there may be at once, and that they end when the port stops."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from collector.errors import Reason, Unavailable
from collector.waiting import wait_for

_MAX_STREAMS: Final = 32


class Streams:
    """The streams of one port. Belongs to its event loop."""

    def __init__(self) -> None:
        self._open = 0
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Every stream ends, and none begins any more."""
        self._ended.set()

    def check(self) -> None:
        """Raises Unavailable(BUSY) when there are as many as may be."""
        if self._open >= _MAX_STREAMS or self._ended.is_set():
            raise Unavailable(Reason.BUSY, f"{_MAX_STREAMS} streams are watched already: close one of them.")

    @contextmanager
    def one(self) -> Iterator[None]:
        """The time of one stream. Raises as `check`."""
        self.check()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def pause(self, seconds: float) -> bool:
        """Wait so long; False when the stream should end instead of going on."""
        return not await wait_for(self._ended, seconds)
