"""A port of our own servers: it takes connections, looks at their deadlines, and ends them in an orderly way."""

import asyncio
import ssl
from typing import Generic, Protocol, TypeVar

import structlog

from collector.net.accepting import Accepting
from collector.net.sockets import listen
from collector.waiting import wait_for

log = structlog.get_logger("spanmeter.receive")

_MAX_TICK = 1.0
# Who has just connected has so long to ask for something.
_MIN_IDLE_SECONDS = 1.0
_LIST_AGAIN_SECONDS = 1.0


class PortConnection(Protocol):
    """What a port does with its connections."""

    def tick(self, now: float) -> None:
        """Look at every deadline."""

    def shut_down(self) -> None:
        """End once what has begun is answered."""

    def abort(self) -> None:
        """End now."""

    @property
    def idle_since(self) -> float:
        """Since when nothing has been asked of it; infinity while something is."""

    def evict(self) -> None:
        """End now, in order: nothing is asked of it."""


C = TypeVar("C", bound=PortConnection)


class Port(Generic[C]):
    """At most `max_connections` connections, with deadlines checked four times within `min_timeout`, the shortest.

    At the limit a new connection takes the place of the one that has been idle longest, so that connections on which
    nothing is asked keep nobody out. Where each has something to do, new ones are closed.
    """

    def __init__(
        self,
        name: str,
        endpoint: str,
        tls: ssl.SSLContext | None,
        *,
        max_connections: int,
        handshake: float,
        min_timeout: float,
        shared: bool,
    ) -> None:
        self.stopping = False
        self._name = name
        self._endpoint = endpoint
        self._tls = tls
        self._max_connections = max_connections
        self._handshake = handshake
        self._every = min(_MAX_TICK, min_timeout / 4)
        self._shared = shared
        self._connections: set[C] = set()
        self._empty = asyncio.Event()
        self._ticks: asyncio.TimerHandle | None = None
        self._idle: list[C] = []  # the longest idle at the end
        self._listed = float("-inf")

    async def start(self) -> int:
        """Bind and serve; the port taken. Raises StartError when the address cannot be had."""
        loop = self._loop = asyncio.get_running_loop()
        self.now = loop.time
        sock = listen(self._endpoint, self._name, shared=self._shared)
        port: int = sock.getsockname()[1]
        self._accepting = Accepting(
            sock,
            self._connection,  # type: ignore[arg-type] # connections are protocols of asyncio
            self._name,
            self._max_connections,
            tls=self._tls,
            handshake=self._handshake,
            make_room=self._make_room,
        )
        return port

    async def stop(self, grace: float) -> None:
        """Refuse what is new, end what is idle, and give what is in flight `grace` seconds."""
        self.stopping = True
        self._accepting.close()
        for connection in tuple(self._connections):
            connection.shut_down()
        if self._connections:
            await wait_for(self._empty, grace)
        for connection in tuple(self._connections):
            connection.abort()
        await self._accepting.wait_closed()
        if self._ticks:
            self._ticks.cancel()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return self._accepting.open

    @property
    def refused(self) -> int:
        """How many connections were closed because there were as many as may be."""
        return self._accepting.refused

    def opened(self, connection: C) -> None:
        self._connections.add(connection)
        if self._ticks is None:
            self._tick()
        if self.stopping:  # its handshake has ended too late
            connection.shut_down()

    def closed(self, connection: C) -> None:
        self._connections.discard(connection)
        if self.stopping and not self._connections:
            self._empty.set()

    def _make_room(self) -> bool:
        """End the connection that has been idle longest, if there is one."""
        now = self.now()
        latest = now - _MIN_IDLE_SECONDS
        if not self._idle and now >= self._listed + _LIST_AGAIN_SECONDS:  # seldom: it looks at every connection
            self._listed = now
            idle = (each for each in self._connections if each.idle_since <= latest)
            self._idle = sorted(idle, key=lambda each: each.idle_since, reverse=True)
        while self._idle:
            connection = self._idle.pop()
            if connection in self._connections and connection.idle_since <= latest:
                connection.evict()
                return True
        return False

    def _connection(self) -> C:
        """A new connection."""
        raise NotImplementedError

    def _tick(self) -> None:
        """Look at every deadline, for as long as there are connections."""
        now = self.now()
        for connection in tuple(self._connections):
            try:
                connection.tick(now)
            except Exception:  # a defect in one connection: the others keep their deadlines
                log.exception("A connection failed inside spanmeter; it ends, and its client has to send again.")
                connection.abort()
        again = self._connections and not (self.stopping and self._empty.is_set())
        self._ticks = self._loop.call_later(self._every, self._tick) if again else None
