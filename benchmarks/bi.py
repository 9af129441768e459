"""The ClickHouse interface: small and large results, a client that goes, ingest beside heavy queries.

    python -m benchmarks.bi [--seconds 20] [--rate 1000] [--rounds 2]

The large result is 2 million rows, 417 MB as TabSeparated. The engine gives it through a pipe too, in a process of
its own. Five clients ask heavy queries while spans come at `--rate`; as many run at once as the settings allow. With
and without them take turns, because the machine may have other work.
"""

import argparse
import http.client
import multiprocessing
import os
import threading
import time

import numpy as np

from benchmarks.daemon import Measured, daemon
from benchmarks.load import Figures, Shape, sender
from benchmarks.report import parser, table, write

_ROWS = 2_000_000
_LARGE = f"SELECT number, toString(number), repeat('x', 194) FROM numbers({_ROWS})"
# Two seconds each, whatever the machine: the daemon ends it then.
_HEAVY = (
    "SELECT number % 1000 AS x, count(), sum(cityHash64(number)), max(sipHash64(number)) FROM numbers(3000000000) "
    "GROUP BY x FORMAT Null SETTINGS max_execution_time = 2"
)
_TIMEOUT_STATUS = 408
_READ_BYTES = 1 << 20
_QUIET_SHARE = 0.2


def _connect(server: Measured) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(server.query, timeout=120)


def _ask(connection: http.client.HTTPConnection, query: str) -> bytes:
    connection.request("POST", "/", query)
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {body[:500]!r}")
    return body


def small(server: Measured, times: int = 500) -> Figures:
    """`SELECT 1` on one connection."""
    connection = _connect(server)
    _ask(connection, "SELECT 1")
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        _ask(connection, "SELECT 1")
        taken.append(time.perf_counter() - begun)
    p50, p99 = (float(np.percentile(taken, part)) * 1000 for part in (50, 99))
    return {"select_1_p50_ms": p50, "select_1_p99_ms": p99}


def large(server: Measured) -> Figures:
    """The large result: when its first byte came and its last, and how much memory the daemon took at most."""
    before = server.rss_mib()
    over = threading.Event()
    peak = [before]

    def watch() -> None:
        while not over.wait(0.02):
            peak.append(server.rss_mib())

    watcher = threading.Thread(target=watch)
    watcher.start()
    connection = _connect(server)
    begun = time.perf_counter()
    connection.request("POST", "/", _LARGE)
    response = connection.getresponse()
    size = len(response.read(1))
    first = time.perf_counter() - begun
    while data := response.read(_READ_BYTES):
        size += len(data)
    seconds = time.perf_counter() - begun
    over.set()
    watcher.join()
    return {"large_mb": size / 1e6, "large_s": seconds, "first_byte_ms": first * 1000, "rss_mib": max(peak) - before}


def engine_alone() -> float:
    """Seconds that the engine itself takes for the large result."""
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[float] = context.Queue()
    process = context.Process(target=_engine_alone, args=(answers,))
    process.start()
    seconds = answers.get(timeout=300)
    process.join()
    return seconds


def _engine_alone(answers: "multiprocessing.Queue[float]") -> None:
    import chdb  # noqa: PLC0415 - in this process only

    connection = chdb.connect(":memory:")
    connection.query("SELECT 1")
    reads_from, writes_to = os.pipe()

    def read() -> None:
        while os.read(reads_from, _READ_BYTES):
            pass

    reader = threading.Thread(target=read)
    begun = time.perf_counter()
    reader.start()
    connection.query(f"{_LARGE} INTO OUTFILE '/dev/fd/{writes_to}' APPEND FORMAT TabSeparated")
    os.close(writes_to)
    reader.join()
    answers.put(time.perf_counter() - begun)


def goes(server: Measured) -> float:
    """Seconds from when a client leaves a heavy query until the daemon's CPU is quiet."""
    connection = _connect(server)
    connection.request("POST", "/", "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))")
    time.sleep(1)
    connection.close()
    begun = time.perf_counter()
    while True:
        cpu, at = server.cpu_seconds(), time.perf_counter()
        time.sleep(0.1)
        if (server.cpu_seconds() - cpu) / (time.perf_counter() - at) < _QUIET_SHARE:
            return at - begun


def ingest(server: Measured, rate: float, seconds: float, queries: int) -> Figures:
    """Acknowledgements of spans at a rate, and the drain's lag, beside so many clients with heavy queries."""
    over = threading.Event()
    lags: list[float] = []

    def ask() -> None:
        while not over.is_set():
            connection = _connect(server)
            connection.request("POST", "/", _HEAVY)
            response = connection.getresponse()
            if response.status != _TIMEOUT_STATUS:
                raise RuntimeError(f"{response.status}: {response.read()[:500]!r}")

    def watch() -> None:
        while not over.wait(0.1):
            lags.append(server.metric("spanmeter_drain_lag_seconds"))

    askers = [threading.Thread(target=ask) for _ in range(queries)] + [threading.Thread(target=watch)]
    shape = Shape("grpc", 16)
    with sender(shape, "--seconds", str(seconds), "--rate", str(rate)) as load:
        load.open(server.address(shape.transport))
        for asker in askers:
            asker.start()
        load.start()
        try:
            done = load.finish()
        finally:
            over.set()
    for asker in askers:
        asker.join()
    return {**done, "lag_p50_s": float(np.median(lags)), "lag_max_s": max(lags)}


def rounds(server: Measured, options: argparse.Namespace) -> Figures:
    """Medians over the rounds, without queries and beside five clients with heavy ones, and how many times as much."""
    taken: dict[str, list[Figures]] = {"alone": [], "beside": []}
    for _ in range(options.rounds):
        taken["alone"].append(ingest(server, options.rate, options.seconds, 0))
        taken["beside"].append(ingest(server, options.rate, options.seconds, 5))
    names = ("ack_p50_ms", "ack_p99_ms", "lag_p50_s", "lag_max_s")
    found = {
        f"{way}_{name}": float(np.median([one[name] for one in figures]))
        for way, figures in taken.items()
        for name in names
    }
    return found | {f"times_{name}": found[f"beside_{name}"] / found[f"alone_{name}"] for name in names}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rate", type=float, default=1_000, help="spans a second")
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--set", action="append", default=[], help="a setting, as KEY=VALUE; repeatable")
    options = arguments.parse_args()
    with daemon(options.set) as server:
        figures: Figures = {**small(server), **large(server), "quiet_s": goes(server)}
        figures |= rounds(server, options)
    figures["engine_alone_s"] = engine_alone()
    print(table(["figure", "value"], [[name, f"{figure:,.2f}"] for name, figure in figures.items()]))
    write(options, {"benchmark": "bi", **figures})


if __name__ == "__main__":
    main()
