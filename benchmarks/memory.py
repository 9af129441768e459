"""Peak resident memory of the daemon under what is meant to exhaust it.

    python -m benchmarks.memory

Each case starts its own daemon and prints the memory before and the peak: a gzip bomb over both transports, 1,000
connections that never finish, requests at the size limit, and a store that does not answer while spans keep coming.
"""

import gzip
import http.client
import io
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlparse

import grpc

from benchmarks.corpus import requests
from benchmarks.daemon import Measured, daemon
from benchmarks.processes import peak
from benchmarks.wire import EXPORT

_MIB = 2**20
_HALF_REQUEST = (
    b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 9999\r\n\r\nab"
)


def main() -> None:
    cases: list[tuple[str, Callable[[Measured], str], tuple[str, ...]]] = [
        ("gzip bomb, 1 GiB inflated, HTTP", _bomb_http, ()),
        ("gzip bomb, 1 GiB inflated, gRPC", _bomb_grpc, ()),
        ("1,000 connections, half a request each", _slow_connections, ()),
        ("64 MiB requests, 4 at once", _large_requests, ()),
        ("store down, 150 MiB of spans sent", _stopped_store, ("store.url=http://127.0.0.1:9",)),
    ]
    print(f"{'case':42} {'before MiB':>10} {'peak MiB':>10}  answers")
    for name, run, settings in cases:
        with daemon(settings, ready=not settings) as server:
            before = server.rss_mib()
            with peak(server.rss_mib, 0.01) as highest:
                answers = run(server)
            print(f"{name:42} {before:10.0f} {highest[0]:10.0f}  {answers}")


def _bomb() -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb") as file:
        for _ in range(1024):
            file.write(bytes(_MIB))
    return out.getvalue()


def _post(server: Measured, body: bytes, encoding: str = "") -> int:
    connection = http.client.HTTPConnection(urlparse(server.http).netloc, timeout=120)
    headers = {"Content-Type": "application/x-protobuf"} | ({"Content-Encoding": encoding} if encoding else {})
    connection.request("POST", "/v1/traces", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def _bomb_http(server: Measured) -> str:
    bomb = _bomb()
    return f"{[_post(server, bomb, 'gzip') for _ in range(3)]}"


def _bomb_grpc(server: Measured) -> str:
    channel = grpc.insecure_channel(server.grpc, options=[("grpc.max_send_message_length", -1)])
    call = channel.unary_unary(EXPORT, request_serializer=None, response_deserializer=None)
    try:
        call(_bomb(), timeout=120)  # the gzip mark alone makes the server inflate it
    except grpc.RpcError as error:
        return str(error.code().name)
    return "OK"


def _slow_connections(server: Measured) -> str:
    address = urlparse(server.http)
    sockets = []
    for _ in range(1000):
        sock = socket.create_connection((address.hostname or "127.0.0.1", address.port or 4318))
        sock.sendall(_HALF_REQUEST)
        sockets.append(sock)
    answers = [_post(server, body) for body in requests(10, 10)]
    for sock in sockets:
        sock.close()
    return f"others meanwhile: {answers}"


def _large_requests(server: Measured) -> str:
    body = b"".join(requests(80, 512))  # encoded requests concatenate to one
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(_post(server, body))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(5)  # the drain's share of the peak
    return f"{len(body) / _MIB:.0f} MiB each: {answers}"


def _stopped_store(server: Measured) -> str:
    corpus = requests(200, 512)
    answers = {_post(server, body) for body in corpus}
    return f"{sorted(answers)}, spooled {server.metric('spanmeter_spool_bytes') / _MIB:.0f} MiB"


if __name__ == "__main__":
    main()
