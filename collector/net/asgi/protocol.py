"""uvicorn's HTTP/1.1 protocol with what an exposed port needs: time and size limits for request heads and bodies."""

import asyncio
import json
from typing import Any, NoReturn

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.net.asgi.early_headers import EarlyHeaders
from collector.net.http1.guard import MAX_FIELDS, HeadGuard, head_mistake
from collector.net.http1.upgrades import DeafToUpgrades

_TOO_LARGE = "The request head is too large."


class GuardedProtocol(HttpToolsProtocol):
    """Closes connections whose head or body is too slow, refuses oversized heads, and ends ambiguous connections.

    uvicorn itself waits for ever for a request head, buffers a header or trailer of any length, keeps a connection open
    after a request with both Content-Length and Transfer-Encoding, which RFC 9112 section 6.1 forbids, and loses the
    body of a request that offers to upgrade.
    """

    read_header_timeout = 10.0
    read_timeout = 30.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parser = DeafToUpgrades(self)
        self._deadline: asyncio.TimerHandle | None = None
        self._head_open = False
        self._body_open = False
        self._guard = HeadGuard()
        self._mistake = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(self.read_header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._guard.before(len(data))
        super().data_received(data)
        if self._guard.exceeded(inside=self._head_open or self._body_open):
            self._refuse_long_head()
            return
        # uvicorn ends its idle timer at any byte, also at blank lines, which begin no request.
        cycle: Any = self.cycle  # None before the first request
        waits = cycle is None or cycle.response_complete
        if waits and not self._deadline and not self.timeout_keep_alive_task and not self.transport.is_closing():
            self._arm(self.read_header_timeout)

    def on_message_begin(self) -> None:
        self._head_open = True
        self._guard.begin()
        self._arm(self.read_header_timeout)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_FIELDS:
            self._refuse(_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_open = False
        self._guard.moved = True
        if self.parser.offers_upgrade():
            return
        if self._guard.too_large(self.url, self.headers):
            self._refuse(_TOO_LARGE)
        mistake = head_mistake(self.headers, dict(self.headers), self.parser.get_http_version())
        if mistake:
            self._refuse(mistake)
        self._body_open = True
        # The application answers a slow body itself; this ends the connection when nobody reads it any more.
        self._arm(self.read_timeout + 5)
        super().on_headers_complete()
        # What ASGI has no messages for: an answer cut short, which ends with its connection, and headers ahead of one.
        extensions: Any = {"abort": self.transport.close, "early_headers": EarlyHeaders(self.cycle)}
        self.scope["extensions"] = extensions
        names = [name for name, _ in self.headers]
        if b"content-length" in names and b"transfer-encoding" in names:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._guard.moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_open = False
        if self.parser.offers_upgrade():
            return
        self._disarm()
        super().on_message_complete()

    def _refuse(self, mistake: str) -> NoReturn:
        """Have the parser give up and ask for a 400."""
        self._mistake = mistake
        raise ValueError(mistake)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request in the shape of every other failure, and close."""
        body = json.dumps({"error": {"reason": "malformed", "message": self._mistake or msg}}).encode()
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
        self.transport.write(f"{head}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def _refuse_long_head(self) -> None:
        if self.transport.is_closing():
            return
        if self._head_open:
            self.send_400_response(_TOO_LARGE)
        else:  # the answer may be on its way
            self.transport.close()

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _expired(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def guarded(read_header_timeout: float, read_timeout: float) -> type[GuardedProtocol]:
    """The protocol class with these limits, for `uvicorn.Config(http=...)`."""
    limits = {"read_header_timeout": read_header_timeout, "read_timeout": read_timeout}
    return type("GuardedProtocol", (GuardedProtocol,), limits)
