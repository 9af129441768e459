"""One HTTP/2 connection on asyncio: bytes to the codec, its events to the calls, answers out, within limits of time.

No timer runs for a connection: its port calls `tick` now and then. What becomes ready to be sent within one turn of the
loop goes out in one write.
"""

import asyncio
import random
from typing import Protocol

import structlog

from collector.config import KeepaliveConfig
from collector.net.http2 import Event
from collector.net.http2._codec import Codec

log = structlog.get_logger("spanmeter.grpc")

_LINGER_SECONDS = 2.0
# A client that is asked to make no more calls has so long to say that it heard: what it sends until then is taken.
_FAREWELL_SECONDS = 1.0
_NEVER = float("inf")
_HTTP1 = b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS "
_NOT_HTTP1 = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n"
    b"This port speaks gRPC, which is HTTP/2; OTLP/HTTP has a port of its own, by default 4318.\n"
)


class Calls(Protocol):
    """What is made of the calls of one connection."""

    def take(self, event: Event) -> None:
        """An event of the codec."""

    def tick(self, now: float) -> None:
        """Some time has passed."""

    def cut(self) -> None:
        """The client has finished sending: give up the calls that are not whole."""

    def unread(self, answers: int) -> None:
        """So many answers the client's windows do not take."""

    def abandon(self) -> None:
        """The client is gone."""


class Http2Port(Protocol):
    """What the connections of one port share."""

    buffer: bytearray  # for the bytes at hand
    read_timeout: float
    keepalive: KeepaliveConfig

    def now(self) -> float:
        """Seconds on any clock."""

    def opened(self, connection: "Connection") -> None: ...

    def refused_http1(self) -> None:
        """A client that speaks HTTP/1.1 was told so."""

    def closed(self, connection: "Connection") -> None: ...

    def codec(self) -> Codec: ...

    def calls(self, connection: "Connection") -> Calls: ...


class _Gone:
    """The calls of a connection that is lost."""

    def take(self, event: Event) -> None:
        """Nothing comes of it."""

    def tick(self, now: float) -> None:
        """Nothing is late."""

    def cut(self) -> None:
        """All is given up."""

    def unread(self, answers: int) -> None:
        """They are gone with it."""

    def abandon(self) -> None:
        """It was."""


_GONE = _Gone()


class Connection(asyncio.BufferedProtocol):
    """Answers go through `codec`, followed by `flush_soon`."""

    def __init__(self, port: Http2Port) -> None:
        self._port = port
        self.codec = port.codec()
        self._calls: Calls = port.calls(self)
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._greeted = False
        self._flushing = False  # what is pending will be written in this turn of the loop
        self._deaf = False  # nothing more is taken from this client
        self._mute = False  # nothing more is sent to it
        self._unread_until = _NEVER  # for so long the client may leave its answers unread
        self._blocked = 0  # answers that its windows do not take
        self._blocked_since = _NEVER  # from when on they have not taken all
        self._pinged = _NEVER  # when the client was asked whether it is there
        self._deadline = _NEVER
        self._patient_until = _NEVER  # for so long calls are taken from a client that was asked to make no more
        self._opened = self._last_heard = self._idle_since = 0.0
        # Clients that came together do not all have to come again together: gRPC's proposal A9.
        age = port.keepalive.server_parameters.max_connection_age
        self._oldest = age * random.uniform(0.9, 1.1) if age else _NEVER  # noqa: S311

    # -- the transport --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._opened = self._last_heard = self._idle_since = self._blocked_since = self._port.now()
        self._deadline = self._opened + self._port.read_timeout
        self._port.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the transport's call
        self._deaf = self._mute = True
        self._port.closed(self)
        self._calls.abandon()
        # What points back here is let go of: half a message must not wait for the collector of cycles.
        self._calls, self._transport = _GONE, None

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the transport's call
        return self._port.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._deaf:
            return
        self._last_heard = self._port.now()
        self._flushing = True
        codec = self.codec
        try:
            for event in codec.feed(self._port.buffer, nbytes, self._last_heard):
                self._idle_since = self._last_heard
                self._calls.take(event)
        except MemoryError:
            log.error("There is no memory for what a client sends; its connection ends.")
            self.abort()
        except Exception:
            log.exception("A connection failed inside spanmeter; it ends, and its client has to send again.")
            self.abort()
        if codec.ended:
            self._end(bytes(self._port.buffer[: min(nbytes, 8)]))
        else:
            if not self._greeted and codec.greeted:
                self._greeted, self._deadline = True, _NEVER
            self._flush()

    def eof_received(self) -> bool:
        """A client that has finished sending gets its answers, where the transport can do that."""
        self._deaf = True
        transport = self._transport
        if transport is None or self._mute or not self.codec.calls or not transport.can_write_eof():
            return False
        self._deadline = self._port.now() + self._port.read_timeout
        self._calls.cut()
        self.shut_down()
        return True

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more from it until it does, and not for ever."""
        self._unread_until = self._port.now() + self._port.read_timeout
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._unread_until = _NEVER
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    # -- answers --------------------------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """Write what the codec has for the client, with whatever else comes until then."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        transport = self._transport
        if transport is None or self._mute or transport.is_closing():
            return
        codec = self.codec
        # Nothing is sent before the client has shown which protocol it speaks.
        if codec.pending and self._greeted:
            transport.write(codec.out())
        if codec.blocked != self._blocked:
            self._blocked = codec.blocked
            self._calls.unread(self._blocked)
        if codec.draining and not codec.calls:
            self._close(transport)

    # -- time -----------------------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Look at every deadline."""
        timeout = self._port.read_timeout
        if not self.codec.blocked:
            self._blocked_since = now
        stalled_since = min(self._blocked_since, self.codec.unfinished_since)
        if now >= min(self._deadline, self._unread_until, stalled_since + timeout):
            self.abort()
            return
        if now >= self._patient_until:
            self._refuse_more()
        self._calls.tick(now)
        if not self._deaf and self._unread_until == _NEVER:
            self._keep_alive(now)

    def _keep_alive(self, now: float) -> None:
        server = self._port.keepalive.server_parameters
        if self._last_heard >= self._pinged:
            self._pinged = _NEVER
        if now >= self._pinged + server.timeout:
            self.abort()
        elif self._pinged == _NEVER and now >= self._last_heard + server.time:
            self._pinged = now
            self.codec.ping()
            self.flush_soon()
        if self.codec.calls:
            self._idle_since = now
        elif server.max_connection_idle and now >= self._idle_since + server.max_connection_idle:
            self.shut_down()
        if now >= self._opened + self._oldest and not self.codec.ending:
            self.shut_down()
            if server.max_connection_age_grace:
                self._deadline = now + server.max_connection_age_grace

    # -- the end --------------------------------------------------------------------------------------------------

    @property
    def idle_since(self) -> float:
        """Since when it has had no call; infinity while it has one, or is about to end."""
        return _NEVER if self.codec.calls or self.codec.ending or self._deaf else self._idle_since

    def evict(self) -> None:
        """End now, and say so, to make room for another."""
        self.codec.drain()
        self._flush()
        self._deaf = self._mute = True
        if self._transport:
            self._transport.close()

    def shut_down(self) -> None:
        """End once the calls are answered that the client sends before it hears that it should make no more."""
        if self._deaf:
            self._refuse_more()
        elif not self.codec.ending:
            self.codec.announce_end()
            self._patient_until = self._port.now() + _FAREWELL_SECONDS
            self.flush_soon()

    def _refuse_more(self) -> None:
        """End once the calls begun are answered."""
        self._patient_until = _NEVER
        self.codec.drain()
        self.flush_soon()

    def abort(self) -> None:
        self._deaf = self._mute = True
        if self._transport:
            self._transport.abort()

    def _end(self, began: bytes) -> None:
        """Close, after saying why."""
        self._flushing = False
        transport = self._transport
        if transport is None or transport.is_closing():
            self._deaf = self._mute = True
            return
        if self._greeted or self.codec.greeted:
            log.info("A client's HTTP/2 connection was ended.", why=self.codec.why)
            transport.write(self.codec.out())
        elif began.startswith(_HTTP1):
            transport.write(_NOT_HTTP1)
            self._port.refused_http1()
        self._close(transport)

    def _close(self, transport: asyncio.Transport) -> None:
        """Say no more, and wait a moment for a client that may still be sending: a reset would cost it the words."""
        self._deaf = self._mute = True
        if transport.can_write_eof():
            transport.write_eof()
            self._deadline = min(self._deadline, self._port.now() + _LINGER_SECONDS)
        else:
            transport.close()
