"""A data directory of an earlier version is taken up by this one; one of a later version is refused."""

import json
import sqlite3
import subprocess
import sys
import tarfile
import time
import urllib.request
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import pytest

from collector.errors import StartError
from collector.store import Store, migrate
from collector.store.migrate import migrations
from tests.support.daemon import running

# Made by the version of that commit: captured runs, a lease, a budget that was passed, its events not delivered.
OLD = Path(__file__).parents[1] / "fixtures" / "store" / "6fdf84d.tar.xz"
LAST = 7  # its newest migration
PERIOD = {"since": "2020-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"}
SPENT = {
    "gpt-4o-2024-08-06": ("0.016293750000", 5),
    "claude-sonnet-4-5-20250929": ("0.007470750000", 2),
    "gpt-4o-mini-2024-07-18": ("0.003855900000", 25),
    "gpt-5-mini-2025-08-07": ("0.003108275000", 8),
}
# Of views that later versions made of the rows.
CALLS = "SELECT sum(Cost), (SELECT sum(Cost) FROM spend_daily) FROM calls FORMAT TSV"
LEASE = "lease_90066dd93f73acc3d498ac4c2bd4631b"


def unpack(directory: Path) -> None:
    """As if it was left just now: nothing in it is old enough to be forgotten."""
    with tarfile.open(OLD) as archive:
        archive.extractall(directory, filter="data")
    later = time.time_ns() + 3600 * 10**9
    for name, statement in (
        ("leases", "UPDATE leases SET expires_ns = ?"),
        ("webhooks", "UPDATE events SET keep_from = ?"),
    ):
        with closing(sqlite3.connect(directory / f"{name}.db")) as database:
            database.execute(statement, (later,))
            database.commit()


def applied(directory: Path) -> list[int]:
    """The versions that `spanmeter migrate` says it has applied."""
    command = [sys.executable, "-m", "collector", "migrate", "--data-dir", str(directory), "--set", "store.ttl=0s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("applied ")]


def test_a_store_of_an_earlier_version(tmp_path: Path) -> None:
    unpack(tmp_path / "data")
    later = [migration.version for migration in migrations() if migration.version > LAST]
    assert applied(tmp_path / "data") == later
    assert applied(tmp_path / "data") == []
    budgets = [{"name": "all", "limit_usd": "0.0001", "period": "month", "hard": True}]
    with running(tmp_path / "data", ("store.ttl=0s", f"budgets={json.dumps(budgets)}")) as daemon:
        spend = json.loads(daemon.get(f"/api/v1/spend?{urlencode({'by': 'model', **PERIOD})}")[1])["spend"]
        found = {row["value"]: (row["cost"], row["priced_calls"] + row["unpriced_calls"]) for row in spend}
        assert found.items() >= SPENT.items()
        asked = urllib.request.Request(f"http://127.0.0.1:{daemon.ports['query']}/", CALLS.encode())
        with urllib.request.urlopen(asked, timeout=30) as answer:
            in_calls, by_day = map(Decimal, answer.read().decode().split())
        assert in_calls == by_day == sum(Decimal(row["cost"]) for row in spend if row["cost"])
        runs = json.loads(daemon.get(f"/api/v1/runs?{urlencode(PERIOD)}")[1])["runs"]
        assert len(runs) == 11
        document = json.loads(daemon.get(f"/api/v1/runs/{runs[0]['trace_id']}")[1])
        assert document
        assert json.loads(daemon.get(f"/api/v1/leases/{LEASE}")[1])["lease"]["state"] == "open"
    with closing(sqlite3.connect(tmp_path / "data" / "webhooks.db")) as outbox:
        assert outbox.execute("SELECT count(*) FROM events").fetchone()[0] >= 4


def test_a_store_of_a_later_version_is_refused(store: Store) -> None:
    store.command("INSERT INTO schema_migrations (Version, Name, Checksum) VALUES (9999, 'later', 'x')")
    with pytest.raises(StartError, match="newer version of spanmeter: it has migration 9999") as refused:
        migrate(store, 0)
    assert "restore a backup made before the upgrade" in str(refused.value)
