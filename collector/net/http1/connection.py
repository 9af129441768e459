"""One HTTP/1.1 connection: requests in, answers out in the same order, within limits of time and size.

Parsing is llhttp's (httptools). Requests that come while an earlier one waits for its answer are taken at once, and
answered in their turn. No timer runs for a connection: it has a deadline, which the port looks at now and then.
"""

import asyncio
from collections import deque
from typing import Protocol

import httptools
import structlog

from collector.errors import SpanmeterError
from collector.net.http1.guard import MAX_FIELDS, HeadGuard
from collector.net.http1.upgrades import DeafToUpgrades

log = structlog.get_logger("spanmeter.http")

_HTTP2 = b"PRI * HTTP/2.0"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LINGER_SECONDS = 2.0
_NEVER = float("inf")
# Requests of one connection that may wait for their answers before no more are read.
_MAX_WAITING = 32


class Exchange(Protocol):
    """One request and its answer. `last`: the connection ends after it."""

    answer: bytes | None
    last: bool
    expects_continue: bool

    def begin(self) -> None:
        """The head is complete, in `connection`'s `method`, `url` and `headers`; these two only until it returns."""

    def take(self, part: bytes) -> None:
        """A part of the body has come. Not called once there is an answer."""

    def end(self) -> None:
        """The body is complete. Not called once there is an answer."""

    def slow(self) -> None:
        """The body has not come in time. Not called once there is an answer."""

    def broken(self, why: str, *, http2: bool) -> None:
        """What has come is no HTTP/1.1, but maybe HTTP/2. Not called once there is an answer."""

    def abandon(self) -> None:
        """The client is gone before its request was whole."""


class Reserved(Protocol):
    """Memory that is counted."""

    size: int

    def resize(self, size: int) -> None:
        """Hold so many bytes. Raises SpanmeterError where there is no room."""

    def release(self) -> None: ...


class HttpPort(Protocol):
    """What the connections of one port share."""

    read_header_timeout: float
    read_timeout: float
    idle_timeout: float
    stopping: bool

    def now(self) -> float:
        """Seconds on the clock of `Connection.deadline`."""

    def opened(self, connection: "Connection") -> None: ...

    def closed(self, connection: "Connection") -> None: ...

    def exchange(self, connection: "Connection") -> Exchange: ...

    def reserve_head(self) -> Reserved:
        """Room for a head of which the end has not come: nobody knows yet whose it is."""


class Connection(asyncio.Protocol):
    """Drives the exchanges of one connection. `deadline` is when `expire` is to be called."""

    def __init__(self, port: HttpPort) -> None:
        self._port = port
        self._parser = DeafToUpgrades(self)
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None  # the request whose body is being read
        self._head_open = False
        self._head_refused = False  # it is too large; what more comes of it is dropped
        self._guard = HeadGuard()
        self._held_head = port.reserve_head()
        self._resting_since = _NEVER
        self._deaf = False  # nothing more is taken from this client
        self._lingering = False
        self._paused = False  # no more is read for now
        self._unread = False  # the client does not read its answers
        self.deadline = _NEVER
        self.method = b""
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    # -- the transport --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._resting_since = self._port.now()
        self.deadline = self._resting_since + self._port.read_header_timeout
        self._port.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the transport's call
        self._deaf, self._paused = True, False
        self._port.closed(self)
        self._held_head.release()
        if self._current:
            self._current.abandon()
            self._current = None
        self._waiting.clear()
        # What points back here is let go of: what is left of a request must not wait for the collector of cycles.
        del self._parser, self._transport

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._guard.before(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"The request is not HTTP/1.1: {error}.", http2=data.startswith(_HTTP2))
        except httptools.HttpParserUpgrade:
            self._fail("This server changes to no other protocol.")
        if self._guard.exceeded(inside=self._head_open or self._current is not None):
            what = "head is" if self._head_open else "trailers are"
            self._fail(f"The request {what} too large.")
        if self._head_open or self._held_head.size:
            self._hold_head()

    def _hold_head(self) -> None:
        """Reserve what has come of a head that goes on."""
        try:
            held = self._head_open and not self._deaf
            self._held_head.resize(self._guard.held(self.url, self.headers) if held else 0)
        except SpanmeterError:
            log.warning("There is no room for a request head that comes in parts; its connection ends.")
            self.abort()

    def eof_received(self) -> bool:
        """A client that has only finished sending still gets its answers, where the transport can do that."""
        if not self._waiting or self._current or not self._transport.can_write_eof():
            return False
        self._deaf = True
        self._waiting[-1].last = True
        return True

    def pause_writing(self) -> None:
        """The client does not read its answers: take no more from it until it does, and not for ever."""
        self._unread = True
        self._pause()
        self.deadline = self._port.now() + self._port.idle_timeout

    def resume_writing(self) -> None:
        self._unread = False
        port = self._port
        limit = port.read_header_timeout if self._head_open else port.read_timeout if self._current else _NEVER
        self.deadline = port.now() + limit
        self._flush()

    # -- the parser -----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._head_open = True
        self._guard.begin()
        self._head_refused = False
        self.url = b""
        self.headers = []
        if not self._deaf:
            self.deadline = self._port.now() + self._port.read_header_timeout

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_open:  # it is a trailer, which nobody asks for
            return
        if len(self.headers) < MAX_FIELDS:
            self.headers.append((name.lower(), value))
        else:
            self._head_refused = True

    def on_headers_complete(self) -> None:
        self._head_open = False
        self._guard.moved = True
        if self._head_refused or self._guard.too_large(self.url, self.headers):
            self._fail("The request head is too large.")
            return
        parser = self._parser
        if self._deaf or (parser.should_upgrade() and parser.offers_upgrade()):
            return
        self.method = parser.get_method()
        exchange = self._current = self._port.exchange(self)
        exchange.last = not parser.should_keep_alive() or self.version == "1.0"
        self._waiting.append(exchange)
        self.deadline = self._port.now() + self._port.read_timeout
        exchange.begin()
        self.url, self.headers = b"", []  # the connection may be idle for long
        if exchange.expects_continue and exchange.answer is None and self._waiting[0] is exchange:
            self._ask_for_body(exchange)

    @property
    def version(self) -> str:
        """The HTTP version of the current request."""
        version: str = self._parser.get_http_version()
        return version

    def on_body(self, part: bytes) -> None:
        self._guard.moved = True
        exchange = self._current
        if exchange and exchange.answer is None:
            exchange.take(part)

    def on_message_complete(self) -> None:
        exchange, self._current = self._current, None
        if exchange is None:
            return
        if self._lingering:
            self._transport.close()
            return
        if not self._unread:
            self.deadline = _NEVER
        if exchange.last:
            self._deaf = True
        if exchange.answer is None:
            exchange.end()
        if exchange.answer is not None:
            self._rest()
        if len(self._waiting) > _MAX_WAITING:
            self._pause()

    # -- answers --------------------------------------------------------------------------------------------------

    def is_last(self, exchange: Exchange) -> bool:
        """Whether the connection ends with the answer to `exchange`, as that answer must say."""
        if self._port.stopping and self._waiting and self._waiting[-1] is exchange:
            exchange.last = True
        return exchange.last

    def answered(self) -> None:
        """An exchange of this connection has its answer."""
        waiting = self._waiting
        while waiting and (answer := waiting[0].answer) is not None:
            exchange = waiting.popleft()
            self._transport.write(answer)
            if exchange.last:
                self._end(linger=exchange is self._current)
                return
        self._flush()

    def _flush(self) -> None:
        if self._unread:
            return
        if self._waiting:
            first = self._waiting[0]
            if first is self._current and first.expects_continue:
                self._ask_for_body(first)
        else:
            self._rest()
        if self._paused and len(self._waiting) <= _MAX_WAITING:
            self._paused = False
            self._transport.resume_reading()

    def _ask_for_body(self, exchange: Exchange) -> None:
        exchange.expects_continue = False
        self._transport.write(_CONTINUE)

    def _rest(self) -> None:
        """Between two requests."""
        if not (self._waiting or self._current or self._head_open or self._deaf or self._unread):
            self._resting_since = self._port.now()
            self.deadline = self._resting_since + self._port.idle_timeout

    def _pause(self) -> None:
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    # -- the end --------------------------------------------------------------------------------------------------

    def _fail(self, why: str, *, http2: bool = False) -> None:
        """Answer what is not HTTP, after the requests before it, and end."""
        if self._deaf:
            return
        exchange = self._current
        if exchange is None:
            exchange = self._current = self._port.exchange(self)
            self._waiting.append(exchange)
        self._deaf = exchange.last = True
        if exchange.answer is None:
            exchange.broken(why, http2=http2)
        elif exchange not in self._waiting:
            self._end(linger=True)

    def tick(self, now: float) -> None:
        """Look at the deadline."""
        if self.deadline <= now:
            self.expire()

    def expire(self) -> None:
        """The deadline is over: end, with an answer where a request is incomplete, after those to requests before."""
        self.deadline = _NEVER
        exchange = self._current
        if exchange and exchange.answer is None and not self._deaf:
            self._deaf = exchange.last = True
            exchange.slow()
            return
        self._deaf = True
        if self._waiting and not self._unread:
            self._waiting[-1].last = True
            return
        # Closing waits until what is written has been read, which may be never.
        if self._lingering or self._waiting or self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._transport.close()

    @property
    def idle_since(self) -> float:
        """Since when nothing has come; infinity while a request has begun."""
        busy = self._waiting or self._current or self._head_open or self._deaf or self._unread
        return _NEVER if busy else self._resting_since

    def evict(self) -> None:
        """End now, to make room for another."""
        self._deaf = True
        self._transport.close()

    def shut_down(self) -> None:
        """End once the requests begun are answered."""
        if not self._waiting and (self._current is None or self._current.answer is not None):
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def _end(self, *, linger: bool) -> None:
        """Close; `linger` where the client may still be sending, whom a reset would cost the answer."""
        self._deaf = True
        self._waiting.clear()
        self._lingering = linger and self._transport.can_write_eof() and not self._transport.is_closing()
        self.deadline = self._port.now() + (_LINGER_SECONDS if self._lingering else self._port.idle_timeout)
        if self._lingering:
            self._transport.write_eof()
        else:
            self._transport.close()
