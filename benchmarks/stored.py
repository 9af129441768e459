"""What a stopped daemon's data directory holds.

    python -m benchmarks.stored DATA_DIR

One process at a time may open an embedded store, so this is for after the stop. `active_parts` needs no engine.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import chdb

from benchmarks.load import Figures

_PART: Final = re.compile(r"([^_]+)_(\d+)_(\d+)_(\d+)(?:_\d+)?")
_SPANS = "SELECT count() AS rows, uniqExact(TraceId, SpanId) AS distinct FROM otel.otel_traces"
_BYTES = """
SELECT sum(bytes_on_disk) AS bytes, sumIf(bytes_on_disk, table = 'otel_traces') AS span_bytes,
    sum(data_uncompressed_bytes) AS uncompressed, countIf(table = 'otel_traces') AS parts
FROM system.parts WHERE active AND database = 'otel'
"""


def stored(directory: Path) -> Figures:
    """`rows`, `distinct` spans, `bytes` on disk of all tables (`span_bytes` of the spans' alone), `parts` of spans."""
    command = [sys.executable, "-m", "benchmarks.stored", str(directory)]
    result = subprocess.run(command, capture_output=True, check=True, text=True, timeout=600)
    figures: Figures = json.loads(result.stdout.splitlines()[-1])
    return figures


def active_parts(directory: Path) -> int:
    """Parts that no other part contains, by the names of their directories, over all tables of an engine in use."""
    count = 0
    for table in (directory / "store" / "store").glob("*/*"):
        parts = [_PART.fullmatch(path.name) for path in table.iterdir()]
        ranges = {(part[1], int(part[2]), int(part[3])) for part in parts if part}
        count += sum(not any(_contains(other, part) for other in ranges if other != part) for part in ranges)
    return count


def _contains(outer: tuple[str, int, int], inner: tuple[str, int, int]) -> bool:
    return outer[0] == inner[0] and outer[1] <= inner[1] and inner[2] <= outer[2]


def main() -> None:
    engine = chdb.connect(str(Path(sys.argv[1]) / "store"))
    figures: Figures = {}
    for question in (_BYTES, _SPANS):
        figures |= json.loads(engine.query(question, "JSONEachRow").bytes())
    engine.close()
    print(json.dumps({name: int(value) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
