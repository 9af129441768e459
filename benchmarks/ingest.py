"""CPU per span, throughput and acknowledgement latency of ingest, from OTLP to rows in the embedded store.

    python -m benchmarks.ingest [--transport grpc|http] [--spans-per-request 512] [--requests 100] [--clients 4]

CPU is user plus system time of the server's whole process tree from the first request until every span is stored.
The sender runs in this process on the same machine, so spans/s is what both manage together.
"""

import argparse
import concurrent.futures
import http.client
import json
import statistics
import time
from collections.abc import Callable
from urllib.parse import urlparse

import grpc

from benchmarks.corpus import requests
from benchmarks.daemon import Measured, daemon

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
Send = Callable[[bytes], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--transport", choices=("grpc", "http"), default="grpc")
    parser.add_argument("--spans-per-request", type=int, default=512)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    corpus = requests(options.requests, options.spans_per_request)
    with daemon() as server:
        result = measure(server, corpus, options.spans_per_request, options.transport, options.clients)
    for name, value in result.items():
        print(f"{name:28} {value:>12,.2f}" if isinstance(value, float) else f"{name:28} {value:>12,}")
    print(json.dumps(vars(options) | result))


def measure(server: Measured, corpus: list[bytes], spans: int, transport: str, clients: int) -> dict[str, int | float]:
    """Send `corpus` and wait until it is stored."""
    total = len(corpus) * spans
    before = server.cpu_seconds()
    started = time.perf_counter()
    latencies = _send_all(server, corpus, transport, clients)
    sent = time.perf_counter() - started
    peak = server.rss_mib()
    server.wait_until_stored(total)
    stored = time.perf_counter() - started
    cpu = server.cpu_seconds() - before
    cuts = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else [latencies[0]] * 99
    return {
        "spans": total,
        "bytes per span": sum(map(len, corpus)) / total,
        "CPU us per span": cpu / total * 1e6,
        "CPU us per request": cpu / len(corpus) * 1e6,
        "acknowledged spans per s": total / sent,
        "stored spans per s": total / stored,
        "ack p50 ms": cuts[49] * 1e3,
        "ack p95 ms": cuts[94] * 1e3,
        "ack p99 ms": cuts[98] * 1e3,
        "resident MiB": peak,
    }


def _send_all(server: Measured, corpus: list[bytes], transport: str, clients: int) -> list[float]:
    shares = [corpus[number::clients] for number in range(clients)]
    open_client = _grpc_client if transport == "grpc" else _http_client

    def send_share(share: list[bytes]) -> list[float]:
        send = open_client(server)
        latencies = []
        for body in share:
            started = time.perf_counter()
            send(body)
            latencies.append(time.perf_counter() - started)
        return latencies

    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return [latency for latencies in pool.map(send_share, shares) for latency in latencies]


def _grpc_client(server: Measured) -> Send:
    channel = grpc.insecure_channel(server.grpc, options=[("grpc.use_local_subchannel_pool", 1)])
    call = channel.unary_unary(METHOD, request_serializer=None, response_deserializer=None)

    def send(body: bytes) -> None:
        call(body, timeout=60)

    return send


def _http_client(server: Measured) -> Send:
    connection = http.client.HTTPConnection(urlparse(server.http).netloc, timeout=60)

    def send(body: bytes) -> None:
        connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"answered {response.status}")

    return send


if __name__ == "__main__":
    main()
