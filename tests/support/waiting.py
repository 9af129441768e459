"""Waiting for what other processes, threads, files and sockets do, which set no event here."""

import asyncio
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll `condition`; fails the test when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    """`wait_until` within an event loop."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - files and threads set no event
            await asyncio.sleep(0.001)
