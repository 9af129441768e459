"""How soon an accepted span is seen by queries, under load: from its acknowledgement until the API shows its trace.

    python -m benchmarks.latency [--transport grpc] [--rate 10000] [--seconds 60]

Probes, spans of their own, are sent beside the load and asked for every tenth of a second. What the questions cost the
daemon is part of its load, and their own duration part of the figure. The first span of a new daemon, for which the
engine loads parts of itself, is sent before the load and told by itself.
"""

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.corpus import Writer
from benchmarks.daemon import Measured, daemon
from benchmarks.load import Figures, Shape, sender
from benchmarks.report import parser, table, write
from benchmarks.templates import Template

_PROBERS = 3
_PAUSE = 0.1
_GOAL_SECONDS = 2.0
_PATIENCE = 120.0


def _probe_until(over: threading.Event, server: Measured) -> list[float]:
    """Send one span after the other; how long each took to be seen."""
    template = _template()  # its own: a template writes each request into one buffer
    taken = []
    while not over.is_set():
        taken.append(_probe(server, template))
    return taken


def _template() -> Template:
    return Template(Writer().request(1, 1000))


def post(server: Measured, body: bytes) -> None:
    """Send a probe, until it is acknowledged."""
    connection = http.client.HTTPConnection(server.address("http"), timeout=60)
    connection.request("POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"})
    status = connection.getresponse().status
    connection.close()
    if status != 200:
        raise RuntimeError(f"a probe was answered {status}")


def _probe(server: Measured, template: Template) -> float:
    body = template.fresh(time.time_ns())
    post(server, body)
    acknowledged = time.monotonic()
    trace_id = _trace_id(body)
    while not _seen(server, trace_id):
        if time.monotonic() - acknowledged > _PATIENCE:
            raise TimeoutError(f"trace {trace_id} was not seen within {_PATIENCE:g} s")
        time.sleep(_PAUSE)
    return time.monotonic() - acknowledged


def _seen(server: Measured, trace_id: str) -> bool:
    try:
        with urllib.request.urlopen(f"{server.web}/api/v1/traces/{trace_id}", timeout=60) as answer:
            return bool(json.load(answer)["spans"])
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False


def _trace_id(body: bytes) -> str:
    request: Any = ExportTraceServiceRequest.FromString(body)
    return str(request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex())


def visible(server: Measured, shape: Shape, *, seconds: float, rate: float = 0) -> Figures:
    """Probe a daemon while `shape` is sent at `rate` spans a second, or as fast as it answers."""
    over = threading.Event()
    options = ["--seconds", str(seconds), "--rate", str(rate)]
    with sender(shape, *options) as load, ThreadPoolExecutor(_PROBERS) as pool:
        load.open(server.address(shape.transport))
        load.start()
        probers = [pool.submit(_probe_until, over, server) for _ in range(_PROBERS)]
        try:
            sent = load.finish()
        finally:
            over.set()
        taken = [value for prober in probers for value in prober.result()]
    p50, p99 = (float(np.percentile(taken, part)) for part in (50, 99))
    return {
        "visible_probes": len(taken),
        "visible_p50_s": p50,
        "visible_p99_s": p99,
        "visible_max_s": max(taken),
        "visible_load_per_s": sent["acknowledged"] / sent["seconds"],
    }


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--transport", choices=("grpc", "http", "json"), default="grpc")
    arguments.add_argument("--spans", type=int, default=512, help="spans a request")
    arguments.add_argument("--rate", type=float, default=10_000, help="spans a second; 0 is as fast as answers come")
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE; repeatable")
    options = arguments.parse_args()
    shape = Shape(options.transport, options.spans)
    with daemon(options.set) as server:
        first = _probe(server, _template())
        figures = {"first_s": first} | visible(server, shape, seconds=options.seconds, rate=options.rate)
    row = [f"{figures[name]:.2f}" for name in ("visible_p50_s", "visible_p99_s", "visible_max_s", "first_s")]
    head = ["load", "spans/s", "probes", "p50 s", "p99 s", "max s", "first span of all s"]
    print(table(head, [[shape.name, f"{figures['visible_load_per_s']:,.0f}", figures["visible_probes"], *row]]))
    kept = figures["visible_p99_s"] <= _GOAL_SECONDS
    print(f"p99 <= {_GOAL_SECONDS:g} s: {'yes' if kept else 'no'}")
    write(options, {"benchmark": "latency", "shape": shape.name, **figures})


if __name__ == "__main__":
    main()
