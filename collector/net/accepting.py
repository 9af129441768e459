"""Connections taken from a listening socket: no more at once than may be, and none lost for want of descriptors.

Where accept(2) fails, the loops' own servers close themselves without a word (uvloop's on any error that libuv passes
on) or say so a thousand times a second (asyncio's).
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger("spanmeter.receive")

# What one process may open is for its ports, as many as this but one, and for its store, spool and databases.
_SHARES = 4
# Taken within one turn of the loop, so that those who are connected already are served meanwhile.
_AT_ONCE = 64
# By then someone may have closed a file.
_PAUSE_SECONDS = 0.25
_WARN_AGAIN_SECONDS = 60.0
# A TLS client that does not say goodbye is waited for so long.
_FAREWELL_SECONDS = 2.0


class Accepting:
    """The connections of `sock`, each with a protocol that `made` makes, also while they shake hands.

    At `max_connections` so many are open at once. Those beyond are closed at once, and counted in `refused`, unless
    `make_room` ends another one, which may take a moment: so many more as are taken in one turn may be open meanwhile.
    """

    def __init__(
        self,
        sock: socket.socket,
        made: Callable[[], asyncio.BaseProtocol],
        name: str,
        max_connections: int,
        *,
        tls: ssl.SSLContext | None = None,
        handshake: float | None = None,
        make_room: Callable[[], bool] = lambda: False,
    ) -> None:
        self.refused = 0
        self._sock = sock
        self._kind = int(sock.family), int(sock.type), sock.proto  # an enumeration costs more than the socket
        self._made = made
        self._make_room = make_room
        self._name = name
        self._max_connections = min(max_connections, _room())
        if self._max_connections < max_connections:
            log.warning(
                "A port takes fewer connections than max_connections: a quarter of the files that this process may "
                "open. Raise the limit (ulimit -n, LimitNOFILE=).",
                port=name,
                takes=self._max_connections,
                max_connections=max_connections,
            )
        self._tls: dict[str, Any] = {}
        if tls:
            self._tls = {"ssl": tls, "ssl_handshake_timeout": handshake, "ssl_shutdown_timeout": _FAREWELL_SECONDS}
        self._loop = asyncio.get_running_loop()
        self._held: set[_Accepted] = set()
        self._starting: set[asyncio.Task[Any]] = set()  # until they have a transport, with TLS after the handshake
        self._again: asyncio.TimerHandle | None = None
        self._warned: dict[str, float] = {}  # when each warning was logged last
        self._listen()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._held)

    def close(self) -> None:
        """Take no more connections."""
        if self._again:
            self._again.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()

    async def wait_closed(self) -> None:
        """End the handshakes that have not come to their end."""
        for starting in tuple(self._starting):
            starting.cancel()

    def _listen(self) -> None:
        self._again = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                taken, _ = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._rest(error)
                return
            if len(self._held) >= self._max_connections and not self._exchanged():
                taken.close()
                self.refused += 1
                self._warn(
                    "A port has as many connections as it may; more are closed.", max_connections=self._max_connections
                )
            else:
                self._start(_Accepted(*self._kind, taken.detach(), self._held))

    def _exchanged(self) -> bool:
        """Whether another connection ends for a new one."""
        if len(self._held) >= self._max_connections + _AT_ONCE or not self._make_room():
            return False
        self._warn("A port has as many connections as it may; idle ones are closed for new ones.")
        return True

    def _start(self, accepted: "_Accepted") -> None:
        starting = self._loop.create_task(self._loop.connect_accepted_socket(self._made, accepted, **self._tls))
        self._starting.add(starting)

        def started(task: asyncio.Task[Any]) -> None:
            self._starting.discard(task)
            error = None if task.cancelled() else task.exception()
            if error or task.cancelled():
                accepted.close()
            if error and not isinstance(error, OSError):  # a handshake that fails is the client's matter
                log.error("A connection failed inside spanmeter before it began.", exc_info=error)

        starting.add_done_callback(started)

    def _rest(self, error: OSError) -> None:
        """Let those who knock wait in the kernel's queue."""
        self._loop.remove_reader(self._sock)
        self._again = self._loop.call_later(_PAUSE_SECONDS, self._listen)
        self._warn("A port takes no connections for the moment; they wait.", why=error.strerror)

    def _warn(self, sentence: str, **facts: object) -> None:
        now = self._loop.time()
        if now >= self._warned.get(sentence, -_WARN_AGAIN_SECONDS) + _WARN_AGAIN_SECONDS:
            self._warned[sentence] = now
            log.warning(sentence, port=self._name, **facts)


class _Accepted(socket.socket):
    """An accepted connection, in `held` until whoever has it closes it (asyncio) or takes its descriptor (uvloop)."""

    def __init__(self, family: int, kind: int, protocol: int, descriptor: int, held: "set[_Accepted]") -> None:
        super().__init__(family, kind, protocol, descriptor)
        self.setblocking(False)
        self._holders = held
        held.add(self)

    def close(self) -> None:
        self._holders.discard(self)
        super().close()

    def detach(self) -> int:
        self._holders.discard(self)
        return super().detach()


def _room() -> int:
    """How many connections one port may have by the limit on open files."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if limit == resource.RLIM_INFINITY else max(1, limit // _SHARES)
