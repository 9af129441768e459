"""How long `budgets/check` and leases take while spans are taken in, at a steady rate of questions.

    python -m benchmarks.checks [--rate 10000] [--checks 200] [--leases 0] [--seconds 30]

A question's time runs from the moment it was due, so that one slow answer counts for those that wait behind it.
"""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.daemon import Measured, daemon
from benchmarks.load import Figures, Shape, sender
from benchmarks.report import parser, table, write

_GOAL_MS = 5.0
_CONNECTIONS = 4
_BUDGETS = [
    {"name": "month", "limit_usd": 1_000_000, "period": "month", "hard": True},
    {"name": "service", "limit_usd": 1_000_000, "period": "day", "per": "service", "hard": True},
    {"name": "window", "limit_tokens": 10**15, "period": "24h", "hard": True},
    {
        "name": "other",
        "limit_usd": 10,
        "period": "month",
        "match": {"service": "other", "model": "gpt-*"},
        "hard": True,
    },
]
_QUESTION = {"service": "support-agent", "model": "gpt-4o-mini", "estimate_usd": "0.01", "estimate_tokens": 1000}
_CHECK, _LEASE = "/api/v1/budgets/check", "/api/v1/leases"


def ask(server: Measured, path: str, rate: float, over: threading.Event) -> list[float]:
    """Ask `rate` times a second over a few connections until it is over; milliseconds each took."""
    if not rate:
        return []
    pause = _CONNECTIONS / rate
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        asking = [
            pool.submit(_ask, server, path, time.monotonic() + pause * at / _CONNECTIONS, pause, over)
            for at in range(_CONNECTIONS)
        ]
        return [taken for one in asking for taken in one.result()]


def _ask(server: Measured, path: str, begin: float, pause: float, over: threading.Event) -> list[float]:
    connection = http.client.HTTPConnection(server.web.removeprefix("http://"), timeout=60)
    body = json.dumps({**_QUESTION, **({"ttl_seconds": 5} if path == _LEASE else {})})
    taken = []
    due = begin
    while not over.is_set():
        time.sleep(max(0.0, due - time.monotonic()))
        connection.request("POST", path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        allowed = json.load(answer)["allowed"]
        taken.append((time.monotonic() - due) * 1000)
        if not allowed:
            raise RuntimeError("a run was refused")
        due += pause
    connection.close()
    return taken


def asked(server: Measured, shape: Shape, *, rate: float, checks: float, leases: float, seconds: float) -> Figures:
    """The percentiles of both kinds of questions while spans arrive at `rate` a second."""
    over = threading.Event()
    with sender(shape, "--seconds", str(seconds), "--rate", str(rate)) as load, ThreadPoolExecutor(2) as pool:
        load.open(server.address(shape.transport))
        load.start()
        kinds = {"check": pool.submit(ask, server, _CHECK, checks, over)}
        kinds["lease"] = pool.submit(ask, server, _LEASE, leases, over)
        try:
            sent = load.finish()
        finally:
            over.set()
        figures: Figures = {"load_per_s": sent["acknowledged"] / sent["seconds"]}
        for kind, answers in kinds.items():
            taken = answers.result()
            figures[f"{kind}s"] = len(taken)
            for part in (50, 99, 100):
                figures[f"{kind}_p{part}_ms"] = float(np.percentile(taken, part)) if taken else None
    return figures


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=float, default=10_000, help="spans a second")
    arguments.add_argument("--checks", type=float, default=200, help="checks a second")
    arguments.add_argument("--leases", type=float, default=0, help="leases a second")
    arguments.add_argument("--seconds", type=float, default=30)
    options = arguments.parse_args()
    with daemon([f"budgets={json.dumps(_BUDGETS)}"]) as server:
        figures = asked(
            server,
            Shape("http", 512),
            rate=options.rate,
            checks=options.checks,
            leases=options.leases,
            seconds=options.seconds,
        )
    rows = [
        [kind, figures[f"{kind}s"], *(f"{figures[f'{kind}_p{part}_ms']:.2f}" for part in (50, 99, 100))]
        for kind in ("check", "lease")
        if figures[f"{kind}s"]
    ]
    print(f"{figures['load_per_s']:,.0f} spans/s meanwhile")
    print(table(["asked", "answers", "p50 ms", "p99 ms", "max ms"], rows))
    if figures["checks"]:
        kept = figures["check_p99_ms"] <= _GOAL_MS
        print(f"check p99 <= {_GOAL_MS:g} ms: {'yes' if kept else 'no'}")
    write(options, {"benchmark": "checks", **figures})


if __name__ == "__main__":
    main()
