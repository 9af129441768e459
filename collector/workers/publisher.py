"""The end of a receiver process: its sealed segments go to the process that drains."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from collector.model.clock import Clock
from collector.spool import Spool
from collector.spool.shares import Elsewhere
from collector.waiting import notify, wait_for

log = structlog.get_logger("spanmeter.publisher")

_POLL = 0.05
_PAUSE = 1.0
_FOR_EVER = 3600.0


class Publisher:
    """Hands over what is full at once, and what is not after `flush_interval`: then one segment at a time.

    While the drain has not stored the last one handed over early, the next one grows instead: when the store is slow or
    away, inserts become larger rather than more.
    """

    def __init__(
        self,
        spool: Spool,
        elsewhere: Elsewhere,
        target: Path,
        published: Callable[[], None],
        clock: Clock,
        flush_interval: float,
    ) -> None:
        self._spool = spool
        self._elsewhere = elsewhere
        self._target = target
        self._published = published
        self._clock = clock
        self._flush_interval = flush_interval
        self._early: Path | None = None
        self._stopping = False
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Publish until stopped. Raises what ended the spool's writing thread."""
        loop = self._loop = asyncio.get_running_loop()
        self._spool.on_change(lambda: notify(loop, self._changed))
        while not self._stopping:
            self._spool.check()
            self._changed.clear()
            pause = await self._publish()
            await wait_for(self._changed, pause)

    def stop(self) -> None:
        """Let `run` return. What is still here is collected once the process has ended."""
        self._stopping = True
        self._changed.set()

    async def _publish(self) -> float:
        """Hand over what is due; the seconds until something may be, if nothing changes."""
        try:
            if self._spool.oldest():
                await asyncio.to_thread(self._hand_over)
            since = self._spool.waiting_since()
            if since is None:
                return _FOR_EVER
            due = since + self._flush_interval - self._clock.monotonic()
            if due > 0:
                return due
            if self._early and self._early.exists():
                return _POLL
            self._early = await asyncio.to_thread(self._seal_and_hand_over)
        except OSError as error:
            log.error("A segment cannot be handed over; it stays where it is.", why=str(error), retry_in=_PAUSE)
            return _PAUSE
        else:
            return 0.0

    def _seal_and_hand_over(self) -> Path | None:
        self._spool.seal()
        return self._hand_over()

    def _hand_over(self) -> Path | None:
        """Where the last of what was sealed is now."""
        moved = None
        while segment := self._spool.oldest():
            moved = self._spool.hand_over(segment, self._target)
            self._elsewhere.gave(segment.size)
            self._loop.call_soon_threadsafe(self._published)
        return moved
