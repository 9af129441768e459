"""What the daemon and its receiver processes say to each other, over a socket that only the two of them have.

A message is a line: a JSON array of its kind and its value. Either side ends when the other does, also by SIGKILL,
because the socket then reports its end.
"""

import asyncio
import contextlib
import json
import socket
from enum import StrEnum
from typing import Any

from collector.errors import StartError

_MAX_MESSAGE_LENGTH = 64 * 1024 * 1024


class MessageKind(StrEnum):
    """To a worker: CONFIG (first), SERVE (once it is READY), RELOAD, METRICS (the question). The rest is sent by it."""

    CONFIG = "config"
    READY = "ready"
    SERVE = "serve"
    RELOAD = "reload"
    METRICS = "metrics"
    ACCEPTING = "accepting"
    PUBLISHED = "published"
    FAILED = "failed"


class Channel:
    """One end. Belongs to the event loop."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._finished = False

    @classmethod
    async def over(cls, sock: socket.socket) -> "Channel":
        """The end that is the connected socket `sock`."""
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=_MAX_MESSAGE_LENGTH))

    def send(self, kind: MessageKind, value: Any = None) -> None:
        """Send a message; drop it after `finish`, or when the other side has ended."""
        if not (self._finished or self._writer.is_closing()):
            self._writer.write(json.dumps([kind, value]).encode() + b"\n")

    async def receive(self) -> tuple[MessageKind, Any] | None:
        """The next message; None when the other side has ended, or sends no more."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        if not line.endswith(b"\n"):
            return None
        kind, value = json.loads(line)
        return MessageKind(kind), value

    def finish(self) -> None:
        """Send no more: the other side takes that as the order to end."""
        if not (self._finished or self._writer.is_closing()):
            self._finished = True
            self._writer.write_eof()

    async def close(self) -> None:
        """Close, once everything sent is on its way."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


def inherited() -> socket.socket:
    """The socket that a worker finds as its standard input. Raises StartError when something else is there."""
    with contextlib.suppress(OSError):
        sock = socket.socket(fileno=0)
        if sock.family is socket.AF_UNIX:
            return sock
    raise StartError("This command is for `spanmeter serve`, which starts its receiver processes with it.")
