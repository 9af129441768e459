"""A receiver of webhooks on loopback: says yes to every event."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """`url` is where events are posted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.arrived = threading.Event()


@contextmanager
def webhook_receiver() -> Iterator[Receiver]:
    """A receiver, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            receiver.arrived.set()

        def log_message(self, *_: object) -> None:
            """Say nothing: the demo's output is the run."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/spend")
    thread = threading.Thread(target=server.serve_forever, name="webhook-receiver", daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
