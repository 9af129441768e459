"""Waiting for events of asyncio, and setting them from other threads."""

import asyncio
import contextlib


async def wait_for(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until `event` is set, `seconds` at most where a limit is given; whether it was."""
    try:
        async with asyncio.timeout(seconds):  # asyncio.wait_for drops a cancellation that comes together with the event
            await event.wait()
    except TimeoutError:
        return False
    return True


def notify(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set `event` of `loop`; from any thread, also once the loop is closed."""
    with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
        loop.call_soon_threadsafe(event.set)
