"""A web application behind the real server, on a port of its own."""

import asyncio
import contextlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from starlette.applications import Starlette

from collector.config import TlsConfig
from collector.net.asgi.server import http_server
from collector.net.sockets import listen


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: Any


class Web:
    """A client of `port`: one connection a request."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, body: Any = None, *, token: str = "", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """`body` is sent as JSON, bytes as they are. Header names of the answer are in lower case."""
        said = dict(headers or {})
        if token:
            said["authorization"] = f"Bearer {token}"
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = self._ask(method, path, content, said)
        return answer._replace(body=json.loads(answer.body) if answer.body else None)

    def download(self, path: str, token: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """What is at `path`, byte for byte."""
        said = {"authorization": f"Bearer {token}"} if token else {}
        return self._ask("GET", path, None, {**said, **(headers or {})})

    def _ask(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            body = answer.read()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


@contextlib.contextmanager
def serving(app: Starlette, tls: TlsConfig | None = None) -> Iterator[Web]:
    """Serve `app` from a thread for the time of the context."""
    sock = listen("127.0.0.1:0", "a test")
    limits = {"max_connections": 100, "read_header_timeout": 10, "read_timeout": 10, "idle_timeout": 10}
    server = http_server(app, tls or TlsConfig(), "a test", **limits)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[sock])))
    port = sock.getsockname()[1]
    thread.start()
    try:
        yield Web(port)
    finally:
        server.end()
        thread.join(30)
        assert not thread.is_alive(), "the server does not stop"
