"""Headers of an answer before it is known what follows, for which ASGI has no message."""

from collections.abc import Iterable
from typing import Any


class EarlyHeaders:
    """Sends headers ahead of an answer, whose status is 200 from then on. Applications have it in their extensions."""

    def __init__(self, cycle: Any) -> None:
        """`cycle` is uvicorn's request and answer."""
        self._cycle = cycle
        self._transport = cycle.transport
        self._begun = False

    def __call__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send these, unless the answer has begun or the client does not take what was sent."""
        if self._cycle.response_started or self._cycle.disconnected or self._cycle.flow.write_paused:
            return
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        if not self._begun:
            self._begun = True
            self._cycle.transport = _WithoutStatus(self._transport)
            lines = b"HTTP/1.1 200 OK\r\n" + lines
        self._transport.write(lines)


class _WithoutStatus:
    """The transport, but for the line of status that the answer begins with."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._begun = False

    def write(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            _, _, data = data.partition(b"\r\n")
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
