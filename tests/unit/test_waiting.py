"""Waiting with a limit, and events set by other threads."""

import asyncio
import threading

import pytest

from collector.waiting import notify, wait_for


def test_it_says_whether_the_event_came() -> None:
    async def scenario() -> tuple[bool, bool]:
        event = asyncio.Event()
        late = await wait_for(event, 0.0)
        threading.Thread(target=notify, args=(asyncio.get_running_loop(), event)).start()
        return late, await wait_for(event, 60)

    assert asyncio.run(scenario()) == (False, True)


def test_a_cancellation_that_comes_together_with_the_event_is_not_lost() -> None:
    async def scenario() -> None:
        event = asyncio.Event()
        waiter = asyncio.create_task(wait_for(event, 60))
        await asyncio.sleep(0)
        event.set()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter

    asyncio.run(scenario())


def test_a_loop_that_is_closed_is_not_told() -> None:
    loop, event = asyncio.new_event_loop(), asyncio.Event()
    loop.close()
    notify(loop, event)
    assert not event.is_set()
