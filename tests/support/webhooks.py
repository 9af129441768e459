"""A real HTTP receiver of webhooks that verifies signatures with the library receivers use."""

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from collector.model.budgets import BudgetEvent, EventType, event_id
from collector.webhooks.endpoint import Endpoint

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OPS = Endpoint("ops", "https://hooks.example.com/spend", ())


@dataclass
class Reply:
    """What the receiver answers; `hold` makes it wait until the test lets it go."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"ok"
    hold: threading.Event | None = None


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_by(self, secret: str | bytes = SECRET) -> bool:
        """Whether one of its signatures is the library's, whatever the time."""
        at = datetime.fromtimestamp(int(self.headers["webhook-timestamp"]), UTC)
        return Webhook(secret).sign(self.id, at, self.body.decode()) in self.headers["webhook-signature"].split(" ")

    def verify(self, secret: str | bytes = SECRET) -> Any:
        """Its JSON. Raises the library's WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """Keeps what it receives; answers what `reply` says of the request and its number (0, 1, ...)."""

    def __init__(self, port: int, *, scheme: str = "http", host: str = "127.0.0.1") -> None:
        self.received: list[Received] = []
        self.reply: Callable[[Received, int], Reply] = lambda _request, _number: Reply()
        self.port = port
        self.url = f"{scheme}://{host}:{port}/hook"
        self._changed = threading.Condition()

    def take(self, request: Received) -> Reply:
        with self._changed:
            self.received.append(request)
            number = len(self.received) - 1
            self._changed.notify_all()
        return self.reply(request, number)

    def wait(self, count: int, seconds: float = 20) -> list[Received]:
        """The requests, once there are `count` of them; fails the test when they do not come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, seconds), (count, self.received)
            return list(self.received)

    def endpoint(self, name: str = "ops", **settings: Any) -> Endpoint:
        said: dict[str, Any] = {"name": name, "url": self.url, "secrets": (SECRET,), "allow_private": True}
        return Endpoint(**said | settings)


@contextmanager
def receiver(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """A receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if len(body) < int(self.headers["content-length"]):
                return  # whoever sent it is dead
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = box.take(Received(self.path, headers, body))
            if reply.hold:
                reply.hold.wait(30)
            try:
                self.send_response(reply.status)
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
            except OSError:
                pass  # it has gone away

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a handshake that fails is the client's to report

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    box = Receiver(server.server_address[1], scheme="https" if tls else "http", host=host)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def an_event(number: int = 0, *, webhooks: tuple[str, ...] = ("ops",), **changes: Any) -> BudgetEvent:
    """A threshold that was reached; `number` makes it another."""
    said: dict[str, Any] = {
        "id": event_id(EventType.THRESHOLD_REACHED, "support-month", ("checkout",), number, "0.8"),
        "type": EventType.THRESHOLD_REACHED,
        "budget": "support-month",
        "created_ns": 1_760_000_000_000_000_000 + number,
        "data": {
            "budget": "support-month",
            "unit": "usd",
            "spend": "800.120000000000",
            "limit": "1000",
            "fraction": "0.8",
        },
        "webhooks": webhooks,
        "scope": ("checkout",),
        "period_start": number,
        "period_end": 1_762_000_000_000_000_000,
        "threshold": "0.8",
    }
    return BudgetEvent(**said | changes)
