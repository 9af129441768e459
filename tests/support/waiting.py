"""Waiting within an event loop for what other threads, files and sockets do."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], bool]) -> None:
    """Poll `condition`; fails the test when it does not come true in time."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - files and threads set no event
            await asyncio.sleep(0.001)
