"""A backup of a large store beside ingest: how long it takes, what senders notice, and what a restore has.

    python -m benchmarks.backup [--gib 10] [--rate 10000]

The store is filled with spans whose content does not compress. Spans are sent before and while the backup is taken; the
second backup adds to the first.
"""

import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.daemon import daemon
from benchmarks.load import Figures, Shape, sender
from benchmarks.processes import in_own_process
from benchmarks.report import parser, table, write
from collector.config import StoreConfig
from collector.store import migrate, open_store

_SPAN_BYTES = 10_000
_ROWS_AT_ONCE = 50_000
_SECONDS_A_GIB = 16  # at the default of store.backup_bandwidth
_ROWS = "SELECT sum(rows) AS n FROM system.parts WHERE active AND table = 'otel_traces'"
_FILL = """
INSERT INTO otel_traces (Project, TraceId, SpanId, SpanName, Kind, Timestamp, ReceivedAt, Input)
SELECT 'default', lower(hex(reverse(reinterpretAsFixedString({first:UInt64} + number)))), '0000000000000001', 'filled',
    'llm', now64(9) - INTERVAL 1 DAY, now64(9), randomPrintableASCII({bytes:UInt32})
FROM numbers({rows:UInt64})
"""


def _fill(directory: Path, gib: float) -> None:
    with closing(open_store(StoreConfig.model_validate({"max_memory": "4GiB"}), directory)) as store:
        migrate(store, 0)
        rows = int(gib * 2**30 / _SPAN_BYTES / 0.83)  # printable characters compress to that
        for first in range(0, rows, _ROWS_AT_ONCE):
            left = min(_ROWS_AT_ONCE, rows - first)
            store.command(_FILL, {"first": first, "rows": left, "bytes": _SPAN_BYTES})


def _command(*arguments: str) -> float:
    """Run the command; the seconds it took."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "collector", *arguments], check=True)
    return time.monotonic() - begun


def _ingest(address: str, rate: float, seconds: float) -> Figures:
    shape = Shape()
    with sender(shape, "--rate", str(rate), "--seconds", str(seconds)) as load:
        load.open(address)
        load.start()
        return load.finish()


def _beside(address: str, rate: float, seconds: float, *command: str) -> tuple[float, Figures]:
    """How long a command took, and what a sender of so many seconds beside it measured."""
    with sender(Shape(), "--rate", str(rate), "--seconds", "3600") as load:
        load.open(address, int(rate * seconds / 512))
        load.start()
        taken = _command(*command)
        return taken, load.finish()


def _rows(directory: Path) -> int:
    with closing(open_store(StoreConfig(), directory)) as store:
        return int(store.command(_ROWS))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--gib", type=float, default=10.0, help="size of the store")
    arguments.add_argument("--rate", type=float, default=10_000, help="spans a second")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="spanmeter-bench-") as name:
        data, again = Path(name) / "data", Path(name) / "again"
        data.mkdir()
        in_own_process(_fill, data, options.gib)
        with daemon(directory=data) as server:
            address = server.address("grpc")
            quiet = _ingest(address, options.rate, 20)
            common = ("--data-dir", str(data))
            full, beside_full = _beside(address, options.rate, options.gib * _SECONDS_A_GIB, "backup", *common)
            added, beside_added = _beside(address, options.rate, 40, "backup", *common)
        latest = max(path for path in (data / "backups").iterdir() if path.is_dir())
        manifest = json.loads((latest / "backup.json").read_text())
        restored = _command("restore", str(latest), "--data-dir", str(again))
        rows = in_own_process(_rows, again)
    figures = {
        "gib": manifest["bytes"] / 2**30,
        "full_s": full,
        "added_s": added,
        "restore_s": restored,
        "restored_rows": rows,
        "rows_in_manifest": manifest["rows"]["otel_traces"],
        **{f"{when}_p99_ms": sent["ack_p99_ms"] for when, sent in _when(quiet, beside_full, beside_added)},
    }
    cells = [[key, f"{value:,.1f}" if isinstance(value, float) else value] for key, value in figures.items()]
    print(table(["figure", "value"], cells))
    write(options, {"benchmark": "backup", **figures})


def _when(quiet: Figures, full: Figures, added: Figures) -> tuple[tuple[str, Figures], ...]:
    return ("without", quiet), ("full", full), ("added", added)


if __name__ == "__main__":
    main()
