"""docs/bi-columns.md, from the catalogue of a new store."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from collector.bi import policy
from collector.config import StoreConfig
from collector.docs.markdown import code, page, table
from collector.store import migrate, open_store
from collector.store.sql import named_query

_INTRODUCTION = """\
# Views for BI tools

The columns of the views that [BI tools](bi.md) read, as its own catalogue describes them. Names and meanings stay;
new columns come at the end."""
_NOT_VIEWS: Final = frozenset({"otel_traces", "otel_traces_trace_id_ts"})

Row = Mapping[str, str]


def render_bi_columns() -> str:
    """The text of docs/bi-columns.md. A process of its own makes the store: each may open one."""
    command = [sys.executable, "-m", "collector.docs.bi_columns"]
    answer = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])  # noqa: S603 - ours
    found: Sequence[Row] = json.loads(answer.stdout.splitlines()[-1])  # above it are log lines
    views = sorted({row["table"] for row in found})
    return page(
        _INTRODUCTION, *(part for view in views for part in _view([row for row in found if row["table"] == view]))
    )


def _view(rows: Sequence[Row]) -> tuple[str, str, str]:
    columns = ((code(row["name"]), code(row["type"]), row["comment"]) for row in rows)
    return f"## {rows[0]['table']}", rows[0]["about"], table(("Column", "Type", "Meaning"), columns)


def _columns() -> list[Row]:
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(StoreConfig(url=f"chdb://{directory}"), Path(directory))
        try:
            migrate(store, 0)
            parameters = {"database": store.database, "views": sorted(policy.TABLES - _NOT_VIEWS)}
            rows: list[Row] = store.query(named_query("bi_dictionary"), parameters).to_pylist()
        finally:
            store.close()
    return rows


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_columns()))
