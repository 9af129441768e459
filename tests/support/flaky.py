"""A receiver of webhooks as they are in the world: it verifies, loses answers, and is away for a while."""

import random
import socket
import struct
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import standardwebhooks.webhooks
from standardwebhooks import Webhook, WebhookVerificationError

from collector.model.clock import Clock
from tests.support.ports import free_ports
from tests.support.webhooks import SECRET

# What goes wrong before the delivery is taken, or after (`lost`: the sender cannot know that it was taken).
_FAULTS = ("500", "503", "429", "reset", "timeout", "lost")
_MAX_FAULTS = 2  # of one delivery, so that none runs out of attempts


def clock_of_library(clock: Clock) -> type[datetime]:
    """What `standardwebhooks` calls `datetime`, with a clock of the test's own."""

    class ScriptedDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "ScriptedDatetime":
            return cls.fromtimestamp(clock.time_ns() / 1e9, tz or UTC)

    return ScriptedDatetime


class FlakyReceiver:
    """Keeps what it took, by webhook-id; `mistakes` are sentences about deliveries that no receiver should see."""

    def __init__(self, seed: int, hold: float) -> None:
        """`hold` seconds without an answer are longer than the sender waits."""
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.taken: dict[str, bytes] = {}
        self.repeats = 0
        self.outcomes: Counter[str] = Counter()
        self.mistakes: list[str] = []
        self.faulty = True
        self._faults: defaultdict[str, int] = defaultdict(int)
        self._random = random.Random(seed)
        self._hold = hold
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def up(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = _server(self)
            self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
            self._thread.daemon = True
            self._thread.start()

    def down(self) -> None:
        """Refuse connections."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def close(self) -> None:
        self._ended.set()
        self.down()

    def answer(self, headers: dict[str, str], body: bytes) -> str:
        """Take a delivery, or not; what becomes of it: a status, or one of `_FAULTS`."""
        with self._lock:
            outcome = self._judged(headers, body)
            self.outcomes[outcome] += 1
        if outcome == "timeout":
            self._ended.wait(self._hold)
        return outcome

    def _judged(self, headers: dict[str, str], body: bytes) -> str:
        message = headers.get("webhook-id", "")
        try:
            Webhook(SECRET).verify(body, headers)
        except WebhookVerificationError as error:
            if "too old" in str(error):
                return "400"  # the script has moved time on while this one was under way: it will come again
            self.mistakes.append(f"{message}: {error}")
            return "401"
        fault = self._fault(message)
        if fault not in {"", "lost"}:
            return fault
        if message in self.taken:
            self.repeats += 1
            if self.taken[message] != body:
                self.mistakes.append(f"{message} came with another body")
        self.taken.setdefault(message, body)
        return fault or "200"

    def _fault(self, message: str) -> str:
        if not self.faulty or self._faults[message] >= _MAX_FAULTS or self._random.random() > 0.25:
            return ""
        self._faults[message] += 1
        return self._random.choice(_FAULTS)


def _server(box: FlakyReceiver) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if len(body) < int(self.headers["content-length"]):
                self.close_connection = True
                return  # whoever sent it was killed meanwhile
            outcome = box.answer({name.lower(): value for name, value in self.headers.items()}, body)
            if outcome in {"reset", "timeout", "lost"}:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
                return
            self.send_response(int(outcome))
            if outcome in {"429", "503"}:
                self.send_header("retry-after", "60")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            pass  # who was to be answered has been killed

    return Server(("127.0.0.1", box.port), Handler)


LIBRARY = standardwebhooks.webhooks
