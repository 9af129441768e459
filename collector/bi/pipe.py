"""A pipe that a query writes to and a request reads from."""

import asyncio
import contextlib
import fcntl
import os
from concurrent.futures import Executor
from typing import Any

_READ_BYTES = 1 << 20
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", None)


class Pipe:
    """Whoever is given `writes_to` closes it. At most one read goes on, in a thread."""

    def __init__(self, readers: Executor) -> None:
        self._reads_from, self.writes_to = os.pipe()
        if _SET_PIPE_SIZE is not None:
            with contextlib.suppress(OSError):  # a limit of this user's pipes: a small one serves too
                fcntl.fcntl(self.writes_to, _SET_PIPE_SIZE, _READ_BYTES)
        self._readers = readers
        self._reading: asyncio.Future[bytes] | None = None

    async def read(self, unless: "asyncio.Task[None]") -> bytes:
        """What has come, empty at the end. Raises ConnectionError once `unless` is done."""
        reading = self._read()
        await asyncio.wait((reading, unless), return_when=asyncio.FIRST_COMPLETED)
        if unless.done():
            raise ConnectionError("The client has gone.")
        self._reading = None
        return reading.result()

    async def discard(self, until: "asyncio.Future[Any]", seconds: float) -> None:
        """Throw away what comes for so long, or until `until` is done."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not until.done():
                    reading = self._read()
                    await asyncio.wait((reading, until), return_when=asyncio.FIRST_COMPLETED)
                    if reading.done():
                        self._reading = None
                        if not reading.result():
                            await asyncio.wait((until,))

    async def close(self) -> None:
        """Give back the end that reads, once nobody writes."""
        if self._reading:
            await asyncio.wait((self._reading,))
        os.close(self._reads_from)

    def _read(self) -> "asyncio.Future[bytes]":
        if self._reading is None:
            loop = asyncio.get_running_loop()
            self._reading = loop.run_in_executor(self._readers, os.read, self._reads_from, _READ_BYTES)
        return self._reading
