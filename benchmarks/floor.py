"""The least that a durable 1-span request can cost here: HTTP's head, group commit, and nothing else.

    python -m benchmarks.floor [--connections 4 64] [--requests 6000]

A process takes the requests in an `asyncio.Protocol` on uvloop, which finds the end of each body; a thread writes and
syncs all that wait, and the loop answers them. Nothing is parsed, checked, stored or sent on. `sync` is the CPU of one
write of 1.7 KB and its fdatasync, without any thread.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Final

import uvloop

from benchmarks.load import Shape, sender
from benchmarks.processes import Tree
from benchmarks.report import parser, table, write

_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
_LENGTH: Final = b"content-length: "
_SYNCS: Final = 2000


class _Committer:
    """Writes and syncs what waits, in a thread, and answers it in the loop."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[bytes, Any]] = []
        self._more = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def take(self, body: bytes, transport: Any) -> None:
        with self._more:
            self._waiting.append((body, transport))
            self._more.notify()

    def _run(self) -> None:
        while True:
            with self._more:
                self._more.wait_for(lambda: self._waiting)
                taken, self._waiting = self._waiting, []
            os.writev(self._file, [body for body, _ in taken])
            os.fdatasync(self._file)
            self._loop.call_soon_threadsafe(self._answer, [transport for _, transport in taken])

    @staticmethod
    def _answer(transports: list[Any]) -> None:
        for transport in transports:
            transport.write(_OK)


class _Connection(asyncio.Protocol):
    """One request after the other."""

    def __init__(self, committer: _Committer) -> None:
        self._committer = committer
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().split(_LENGTH)[1].split(b"\r\n")[0]):
            self._data = b""
            self._committer.take(body, self._transport)


async def _serve(path: str) -> None:
    committer = _Committer(path)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(committer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def served(directory: str, connections: int, requests: int) -> float:
    """CPU us a request."""
    command = [sys.executable, "-m", "benchmarks.floor", "--serve", f"{directory}/records"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        sender(Shape("http", 1, connections=connections)) as load,
    ):
        assert process.stdout is not None
        load.open(f"127.0.0.1:{process.stdout.readline().strip()}", requests)
        tree = Tree(process.pid)
        before = tree.cpu_seconds()
        load.start()
        sent = load.finish()
        cost = (tree.cpu_seconds() - before) / int(sent["acknowledged"])
        process.kill()
    return cost * 1e6


def synced(directory: str) -> float:
    """CPU us of a write and its sync."""
    file = os.open(f"{directory}/syncs", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    record = os.urandom(1700)
    before = time.thread_time()
    for _ in range(_SYNCS):
        os.write(file, record)
        os.fdatasync(file)
    return (time.thread_time() - before) / _SYNCS * 1e6


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--connections", type=int, nargs="+", default=[4, 64])
    arguments.add_argument("--requests", type=int, default=6000)
    arguments.add_argument("--serve", metavar="FILE", help="be the server, writing there")
    options = arguments.parse_args()
    if options.serve:
        uvloop.run(_serve(options.serve))
        return
    with tempfile.TemporaryDirectory(prefix="spanmeter-floor-") as directory:
        sync = synced(directory)
        costs = {count: served(directory, count, options.requests) for count in options.connections}
    rows = [[f"http 1 ({count})", f"{cost:.0f}"] for count, cost in costs.items()]
    print(table(["", "CPU us"], [["sync", f"{sync:.0f}"], *rows]))
    write(options, {"benchmark": "floor", "sync_us": sync, "request_us": costs})


if __name__ == "__main__":
    main()
