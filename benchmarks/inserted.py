"""What arrived at a sink: every kept insert goes into a real engine, its rows are counted and its CPU measured.

    python -m benchmarks.inserted DIRECTORY rotel|spanmeter

Rotel's rows go into the table of the Collector's ClickHouse exporter, which they are made for; ours into our own, as
migrated. Prints one line of JSON.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import chdb
import lz4.block
import lz4.frame

from benchmarks.load import Figures
from benchmarks.sink import MANIFEST
from collector.config import StoreConfig
from collector.net.zstd import zstd
from collector.store import migrate, open_store

# The Collector's own definition: github.com/open-telemetry/opentelemetry-collector-contrib, clickhouseexporter,
# internal/sqltemplates/traces_table.sql, without the TTL.
EXPORTER_TABLE: Final = """
CREATE TABLE otel.otel_traces
(
    Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
    TraceId String CODEC(ZSTD(1)),
    SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)),
    TraceState String CODEC(ZSTD(1)),
    SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)),
    ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)),
    SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)),
    StatusCode LowCardinality(String) CODEC(ZSTD(1)),
    StatusMessage String CODEC(ZSTD(1)),
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String),
        Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested (TraceId String, SpanId String, TraceState String,
        Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Timestamp)
ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1
"""
_STATEMENT = re.compile(r"(INSERT\s+INTO\s.+?)\s+FORMAT\s+(\w+)\s*$", re.IGNORECASE | re.DOTALL)
_CODINGS = {"": bytes, "lz4": lz4.frame.decompress, "zstd": zstd.decompress}
_COUNTS: Final = {
    "rows": "count()",
    "distinct": "uniqExact(TraceId, SpanId)",
    "rows_without_resource": "countIf(ServiceName = '' OR empty(ResourceAttributes))",
}
_QUIET_SHARE = 0.05


def inserted(directory: Path, system: str) -> Figures:
    """The figures of the inserts saved in `directory`, found by a fresh process."""
    command = [sys.executable, "-m", "benchmarks.inserted", str(directory), system]
    result = subprocess.run(command, capture_output=True, check=True, text=True, timeout=600)
    figures: Figures = json.loads(result.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("system", choices=("rotel", "spanmeter"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanmeter-inserted-") as name:
        engine = _engine(Path(name), options.system)
        print(json.dumps(_insert_all(engine, options.directory) | _counts(engine, options.system)))
        engine.close()


def _engine(directory: Path, system: str) -> Any:
    """A connection to an engine with the system's table, in its database."""
    if system == "spanmeter":
        store = open_store(StoreConfig(), directory)
        migrate(store, 0)
        store.close()
        engine = chdb.connect(str(directory / "store"))
    else:
        engine = chdb.connect(str(directory / "store"))
        engine.query("CREATE DATABASE otel")
        engine.query(EXPORTER_TABLE)
    engine.query("USE otel")
    return engine


def _insert_all(engine: Any, directory: Path) -> Figures:
    """CPU seconds of the inserts, and with what merges followed them."""
    used = 0.0
    for entry in json.loads((directory / MANIFEST).read_text()):
        path = directory / entry["body"]
        body = _CODINGS[entry["coding"]](path.read_bytes())
        path.write_bytes(_native_blocks(body) if entry["native_compression"] else body)
        statement = _STATEMENT.match(entry["query"])
        assert statement, entry["query"]
        unpacked = time.process_time()
        engine.query(f"{statement[1]} FROM INFILE '{path}' FORMAT {statement[2]}")
        used += time.process_time() - unpacked
    return {"insert_cpu_seconds": used, "merge_cpu_seconds": _quiet_cpu()}


def _quiet_cpu() -> float:
    """CPU seconds this process uses until it is quiet for a second."""
    began = last = time.process_time()
    quiet = 0
    while quiet < 5:
        time.sleep(0.2)
        now = time.process_time()
        quiet = quiet + 1 if now - last < _QUIET_SHARE * 0.2 else 0
        last = now
    return last - began


def _native_blocks(data: bytes) -> bytes:
    """What ClickHouse's own compression holds: blocks of checksum (16), method (1), both sizes (4 each), LZ4."""
    parts, at = [], 0
    while at < len(data):
        size, plain = (int.from_bytes(data[at + part : at + part + 4], "little") for part in (17, 21))
        parts.append(lz4.block.decompress(data[at + 25 : at + 16 + size], plain))
        at += 16 + size
    return b"".join(parts)


def _counts(engine: Any, system: str) -> Figures:
    counts = dict(_COUNTS)
    if system == "spanmeter":
        counts["rows_priced"] = "countIf(Cost > 0)"
    columns = ", ".join(f"{expression} AS {name}" for name, expression in counts.items())
    figures: Figures = json.loads(engine.query(f"SELECT {columns} FROM otel_traces", "JSONEachRow").bytes())
    stored = engine.query(
        "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND table = 'otel_traces'", "TabSeparated"
    )
    return {name: int(value) for name, value in figures.items()} | {"stored_bytes": int(stored.bytes())}


if __name__ == "__main__":
    main()
