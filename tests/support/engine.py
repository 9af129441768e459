"""The embedded engine's directory of a daemon that is not running, read and prepared by processes of their own."""

import atexit
import functools
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

Counts = tuple[dict[str, int], dict[str, int], dict[str, int]]


def stored_by_trace(store: Path, database: str = "otel") -> Counts:
    """What an engine's directory holds, read by a fresh process while nothing else has it open.

    By trace id: rows, rows under FINAL, and distinct spans.
    """
    return stored_by(store, f"{database}.otel_traces", "TraceId", "SpanId")


def stored_by(store: Path, table: str, group: str, item: str) -> Counts:
    """As `stored_by_trace`, of any table: by `group`, and distinct by `item`, which are expressions."""
    script = (
        "import json, sys, clickhouse_connect\n"
        "client = clickhouse_connect.get_client(interface='chdb', path=sys.argv[1])\n"
        "ask = lambda sql: dict(client.query(sql).result_rows)\n"
        "table, group, item = sys.argv[2:]\n"
        "print(json.dumps([ask(f'SELECT {group} AS Key, count() FROM {table} GROUP BY Key'),\n"
        "    ask(f'SELECT {group} AS Key, count() FROM {table} FINAL GROUP BY Key'),\n"
        "    ask(f'SELECT {group} AS Key, uniqExact({item}) FROM {table} GROUP BY Key')]))\n"
    )
    rows, final, distinct = json.loads(_in_fresh_process(script, str(store), table, group, item))
    return rows, final, distinct


def prepare_store(store: Path) -> None:
    """Make the tables a daemon would, and let no merge hide a duplicate: what is inserted stays as it is."""
    _migrate(store, "ALTER TABLE otel_traces MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1")


def migrated_store(store: Path) -> None:
    """A copy of what a daemon's first start leaves in its engine's directory: applying every migration takes a second."""
    store.parent.mkdir(mode=0o700, parents=True)
    shutil.copytree(_migrated(), store, symlinks=True)


_TEMPORARY = tempfile.gettempdir()  # before an engine in this process makes its own place that, and empties it


@functools.cache
def _migrated() -> Path:
    parent = Path(tempfile.mkdtemp(prefix="spanmeter-store-", dir=_TEMPORARY))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    _migrate(parent / "store")
    return parent / "store"


def _migrate(store: Path, *statements: str) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from collector.config import StoreConfig\n"
        "from collector.store import migrate, open_store\n"
        "os.umask(0o077)\n"
        "config = StoreConfig(url=f'chdb://{sys.argv[1]}')\n"
        "store = open_store(config, pathlib.Path())\n"
        "migrate(store, int(config.ttl), logs_ttl=int(config.logs_ttl), metrics_ttl=int(config.metrics_ttl))\n"
        "for statement in sys.argv[2:]:\n"
        "    store.command(statement)\n"
        "store.close()\n"
    )
    _in_fresh_process(script, str(store), *statements)


def _in_fresh_process(script: str, *arguments: str) -> bytes:
    """What `script` prints: the embedded engine opens one directory a process."""
    command = [sys.executable, "-c", script, *arguments]
    result = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout
