"""What the store costs: CPU per span of an insert alone, by how it is made, and with every merge it causes.

    python -m benchmarks.store [--rows 20000] [--inserts 6] [--sustained SPANS]

Each embedded figure is CPU of this process, the engine's threads included; `disk` is bytes a span in the table. To a
server it is the client's CPU alone, the server being another process; `wire` is bytes a span of the request body.
`--sustained` inserts that many spans as fast as it can and counts until no merge runs.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import psutil
import pyarrow as pa

from benchmarks.corpus import requests
from collector.billing.price_refresh import enricher
from collector.config import PricingConfig, StoreConfig
from collector.decode import decode
from collector.model.envelope import Envelope
from collector.store import Store, migrate, open_store
from collector.store.client import arrow_stream
from collector.store.tables import SPANS
from collector.store.writer import insert_spans, with_dictionaries
from tests.support.clickhouse_server import ClickHouseProcess

_TRACE_SPANS = 10
_MERGES = "SELECT count() FROM system.merges"
_PARTS = f"SELECT count() FROM system.parts WHERE active AND table = '{SPANS.name}'"
_DISK = f"SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND table = '{SPANS.name}'"
Insert = Callable[[Store, pa.RecordBatch, str], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--inserts", type=int, default=6)
    parser.add_argument("--sustained", type=int, default=0, metavar="SPANS")
    options = parser.parse_args()
    batch = enriched(options.rows)
    with tempfile.TemporaryDirectory(prefix="spanmeter-bench-") as name:
        if options.sustained:
            _sustained(Path(name), batch, options.sustained)
        else:
            _variants(Path(name), batch, options.inserts)


def enriched(rows: int) -> pa.RecordBatch:
    """`rows` spans of the corpus, decoded, named and priced."""
    finish = enricher(PricingConfig())
    parts = []
    for body in requests(rows // 1000, 1000):
        reading = finish.read(decode([Envelope("default", time.time_ns(), 1000, body)]))
        parts.append(finish.finish(reading, np.ones(reading.batch.num_rows, np.bool_)))
    return pa.Table.from_batches(parts).combine_chunks().to_batches()[0]


def renewed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same spans under trace and span ids of their own."""
    rows = batch.num_rows
    traces = [uuid4().hex for _ in range(rows // _TRACE_SPANS + 1)]
    ids = {
        "TraceId": [traces[row // _TRACE_SPANS] for row in range(rows)],
        "SpanId": [uuid4().hex[:16] for _ in range(rows)],
    }
    for name, values in ids.items():
        position = batch.schema.get_field_index(name)
        batch = batch.set_column(position, batch.schema.field(position), pa.array(values))
    return batch


def _variants(directory: Path, batch: pa.RecordBatch, inserts: int) -> None:
    batches = [renewed(batch) for _ in range(inserts)]
    print(f"{batch.num_rows} spans an insert, {batch.nbytes / batch.num_rows:.0f} bytes a span in memory")
    print(f"{'':44} {'median':>8} {'least':>8} us/span")
    with _store(StoreConfig(ttl=0), directory) as store:
        store.command("SYSTEM STOP MERGES")
        _row("embedded", store, insert_spans, batches)
        print(f"{'embedded, disk':44} {float(store.command(_DISK)):8.0f} bytes/span")
        _row("embedded, no dictionaries", store, lambda to, rows, token: to.insert(SPANS.name, rows, token), batches)
        _row("embedded, through a temporary file", store, _through_a_file, batches)
    server = ClickHouseProcess(directory / "server")
    server.directory.mkdir()
    server.start()
    try:
        for compression in ("none", "lz4", "zstd"):
            config = StoreConfig.model_validate({"url": server.url, "ttl": 0, "compression": compression})
            with _store(config, directory) as store:
                _row(f"to a server, {compression}", store, insert_spans, batches)
            size = len(arrow_stream(with_dictionaries(SPANS, batch), compression)) / batch.num_rows
            print(f"{f'to a server, {compression}, wire':44} {size:8.0f} bytes/span")
    finally:
        server.kill()


def _through_a_file(store: Store, batch: pa.RecordBatch, token: str) -> None:
    settings = {"insert_deduplication_token": token}
    store._writer.insert_arrow(SPANS.name, pa.Table.from_batches([batch]), store.database, settings)  # noqa: SLF001


def _row(name: str, store: Store, insert: Insert, batches: list[pa.RecordBatch]) -> None:
    costs = []
    for number, batch in enumerate(batches):
        started = time.process_time()
        insert(store, pa.Table.from_batches([batch]), f"{name}-{number}")
        costs.append((time.process_time() - started) / batch.num_rows * 1e6)
    print(f"{name:44} {statistics.median(costs[1:]):8.1f} {min(costs[1:]):8.1f}")


def _sustained(directory: Path, batch: pa.RecordBatch, spans: int) -> None:
    process, parts, peak, making = psutil.Process(), 0, 0, 0.0
    with _store(StoreConfig(ttl=0), directory) as store:
        started = time.process_time()
        for number in range(spans // batch.num_rows):
            before = time.process_time()
            rows = renewed(batch)
            making += time.process_time() - before
            insert_spans(store, pa.Table.from_batches([rows]), f"sustained-{number}")
            parts = max(parts, int(store.command(_PARTS)))
            peak = max(peak, process.memory_info().rss)
        inserted = time.process_time() - started - making
        while int(store.command(_MERGES)):
            time.sleep(0.2)
        total = time.process_time() - started - making
        stored = spans // batch.num_rows * batch.num_rows
        print(f"{stored} spans, {batch.num_rows} an insert")
        print(f"CPU until the last insert   {inserted / stored * 1e6:8.1f} us/span")
        print(f"CPU until no merge runs     {total / stored * 1e6:8.1f} us/span")
        print(f"most parts, parts left      {parts:8} {store.command(_PARTS):8}")
        print(f"disk                        {float(store.command(_DISK)):8.0f} bytes/span")
        print(f"peak resident               {peak / 2**20:8.0f} MiB")


@contextmanager
def _store(config: StoreConfig, directory: Path) -> Iterator[Store]:
    store = open_store(config, directory)
    try:
        migrate(store, 0)
        yield store
    finally:
        store.close()


if __name__ == "__main__":
    main()
