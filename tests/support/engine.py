"""The embedded engine's directory of a daemon that is not running, read and prepared by processes of their own."""

import json
import subprocess
import sys
from pathlib import Path


def stored_by_trace(store: Path, database: str = "otel") -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """What an engine's directory holds, read by a fresh process while nothing else has it open.

    By trace id: rows, rows under FINAL, and distinct spans.
    """
    script = (
        "import json, sys, clickhouse_connect\n"
        "client = clickhouse_connect.get_client(interface='chdb', path=sys.argv[1])\n"
        "ask = lambda sql: dict(client.query(sql).result_rows)\n"
        "table = sys.argv[2] + '.otel_traces'\n"
        "print(json.dumps([ask(f'SELECT TraceId, count() FROM {table} GROUP BY TraceId'),\n"
        "    ask(f'SELECT TraceId, count() FROM {table} FINAL GROUP BY TraceId'),\n"
        "    ask(f'SELECT TraceId, uniqExact(SpanId) FROM {table} GROUP BY TraceId')]))\n"
    )
    rows, final, distinct = json.loads(_in_fresh_process(script, str(store), database))
    return rows, final, distinct


def prepare_store(store: Path) -> None:
    """Make the tables a daemon would, and let no merge hide a duplicate: what is inserted stays as it is."""
    script = (
        "import sys, pathlib\n"
        "from collector.config import StoreConfig\n"
        "from collector.store import migrate, open_store\n"
        "config = StoreConfig(url=f'chdb://{sys.argv[1]}')\n"
        "store = open_store(config, pathlib.Path())\n"
        "migrate(store, int(config.ttl))\n"
        "store.command('ALTER TABLE otel_traces MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = 1')\n"
        "store.close()\n"
    )
    _in_fresh_process(script, str(store))


def _in_fresh_process(script: str, *arguments: str) -> bytes:
    """What `script` prints: the embedded engine opens one directory a process."""
    command = [sys.executable, "-c", script, *arguments]
    result = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout
