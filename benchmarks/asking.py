"""Asks a daemon the same JSON question at a rate, or all at once, from a process of its own.

Times are from the moment a question was due until its answer was read. `late` says how late this process itself was
to send: on a busy machine it waits for a processor as the daemon does. `answer` is what is left: from sending on.
"""

import argparse
import asyncio
import json
import math
import subprocess
import sys
import time
from typing import Any
from urllib.parse import urlparse

import httptools
import numpy as np
import uvloop

from benchmarks.load import Figures


class _Connection(asyncio.Protocol):
    """One question at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[tuple[int, bytes]]":
        self._body = b""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._answer:
            self._answer.set_result((self._parser.get_status_code(), self._body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("the connection was closed"))


async def _ask(address: str, request: bytes, rate: float, count: int, connections: int) -> Figures:
    """`count` questions over so many connections; without a rate, one on each at once."""
    host, port = address.rsplit(":", 1)
    loop = asyncio.get_running_loop()
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait((await loop.create_connection(_Connection, host, int(port)))[1])
    taken, late, answer, allowed, failures = [], [], [], 0, 0
    begin = time.monotonic() + 0.1

    async def one(due: float) -> None:
        nonlocal allowed, failures
        await asyncio.sleep(due - time.monotonic())
        connection = await free.get()
        sent = time.monotonic()
        status, body = await connection.ask(request)
        answered = time.monotonic()
        late.append(sent - due)
        answer.append(answered - sent)
        taken.append(answered - due)
        free.put_nowait(connection)
        failures += status >= 300
        allowed += status < 300 and bool(json.loads(body).get("allowed", True))

    await asyncio.gather(*(one(begin + (number / rate if rate else 0)) for number in range(count)))
    figures: Figures = {"asked": count, "allowed": allowed, "failures": failures}
    for name, seconds in (("ms", taken), ("late_ms", late), ("answer_ms", answer)):
        for part in (50, 95, 99, 100):
            figures[f"{name}_p{part}"] = float(np.percentile(seconds, part)) * 1e3
    return figures


def request_of(url: str, body: Any, method: str = "POST") -> tuple[str, bytes]:
    """The address and the bytes of one HTTP request."""
    parts = urlparse(url)
    text = json.dumps(body).encode() if body is not None else b""
    head = f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    return parts.netloc, f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text


class Asking:
    """Questions that are being asked."""

    def __init__(
        self, url: str, body: Any, *, rate: float, seconds: float = 0, count: int = 0, connections: int = 16
    ) -> None:
        """Ask `count` times, or as often as the rate has it in so many seconds. Without a body, GET."""
        address, request = request_of(url, body, "GET" if body is None else "POST")
        count = count or math.ceil(rate * seconds)
        settings = {"address": address, "rate": rate, "count": count, "connections": connections}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.asking", json.dumps(settings), request.hex()], stdout=subprocess.PIPE
        )

    def figures(self) -> Figures:
        """Once every question is answered."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            raise RuntimeError(f"asking ended with exit code {self._process.returncode}")
        figures: Figures = json.loads(out)
        return figures


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("settings", type=json.loads)
    arguments.add_argument("request", type=bytes.fromhex)
    options = arguments.parse_args()
    print(json.dumps(uvloop.run(_ask(request=options.request, **options.settings))))


if __name__ == "__main__":
    main()
