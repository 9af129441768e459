"""The promise that an envelope becomes durable."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from collector.errors import Unavailable

Completed = Callable[[Unavailable | None], None]


class SpoolAck:
    """An envelope on its way to the disk. Belongs to the event loop.

    Awaiting it returns once the envelope is durable and raises Unavailable when it could not be made so. Whoever stops
    waiting changes nothing for the others, nor for the envelope.
    """

    __slots__ = ("_callbacks", "_done", "_failure")

    def __init__(self) -> None:
        self._callbacks: list[Completed] = []
        self._done = False
        self._failure: Unavailable | None = None

    def done(self) -> bool:
        return self._done

    def failed(self) -> bool:
        return self._failure is not None

    def then(self, callback: Completed) -> None:
        """Call `callback` with the failure or None: in the order of registration when settled, at once if it is."""
        if self._done:
            callback(self._failure)
        else:
            self._callbacks.append(callback)

    def complete(self, failure: Unavailable | None) -> None:
        """Say how it ended."""
        self._done, self._failure = True, failure
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback(failure)

    def __await__(self) -> Generator[Any, None, None]:
        if not self._done:
            future = asyncio.get_running_loop().create_future()
            self.then(lambda _: None if future.done() else future.set_result(None))
            yield from future
        if self._failure:
            raise self._failure
