"""`spanmeter copy`: an embedded store with every kind of row moves into a server, and a second copy doubles nothing."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import pytest

from collector.cli import main
from collector.config import StoreConfig
from collector.store import Store, migrate, open_store
from collector.store.copying import copy_store
from tests.support.captured import payloads
from tests.support.clickhouse_server import ClickHouseProcess
from tests.support.daemon import Daemon, running
from tests.support.filled import fill, own_tables
from tests.support.signals import log_request, metric_request, one_of_each, record
from tests.support.waiting import wait_until
from tests.support.wire import post

DEPLOY = Path(__file__).parents[2] / "deploy" / "clickhouse"
PERIOD = {"since": "2020-01-01T00:00:00Z", "until": "2030-01-01T00:00:00Z"}
TABLES = ("otel_logs", "otel_metrics_gauge", "otel_metrics_sum", "otel_traces")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseProcess]:
    server = ClickHouseProcess(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


def copy(daemon: Daemon, server: ClickHouseProcess) -> str:
    command = [sys.executable, "-m", "collector", "copy", "--data-dir", str(daemon.directory), "--to", server.url]
    command += ["--set", "store.ttl=0s"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(daemon: Daemon) -> list[Any]:
    """What people see: runs, spend, and every stored column of a trace."""
    runs = json.loads(daemon.get(f"/api/v1/runs?{urlencode(PERIOD)}")[1])["runs"]
    spend = json.loads(daemon.get(f"/api/v1/spend?{urlencode({'by': 'model', **PERIOD})}")[1])
    traces = [json.loads(daemon.get(f"/api/v1/traces/{run['trace_id']}")[1]) for run in runs]
    assert runs
    assert spend["spend"]
    return [runs, spend, traces]


def test_an_embedded_store_moves_into_a_server(tmp_path: Path, server: ClickHouseProcess) -> None:
    settings = ("store.ttl=0s", "store.logs_ttl=0s", "store.metrics_ttl=0s")
    with running(tmp_path / "data", settings) as daemon:
        port = daemon.ports["http"]
        for payload in payloads("oi-openai"):
            post(port, payload)
        post(port, log_request(record("a line"), record({"a": [1, "b"]})).SerializeToString(), path="/v1/logs")
        post(port, metric_request(*one_of_each()).SerializeToString(), path="/v1/metrics")
        wait_until(lambda: daemon.metric("spanmeter_spool_segments") == 0, 30, "an empty spool")
        before = answers(daemon)
    told = copy(daemon, server)
    client = clickhouse_connect.get_client(dsn=server.url, database="otel", autogenerate_session_id=False)
    counts = {table: client.command(f"SELECT count() FROM {table}") for table in TABLES}
    assert all(counts.values())
    for table, count in counts.items():
        assert f"{table}: {count} rows here, {count} there" in told
    client.command("TRUNCATE TABLE otel_traces")
    client.command("TRUNCATE TABLE otel_traces_trace_id_ts")
    assert copy(daemon, server) == told
    assert {table: client.command(f"SELECT count() FROM {table}") for table in TABLES} == counts
    client.close()
    with running(daemon.directory, (f"store.url={server.url}", *settings)) as moved:
        assert answers(moved) == before


# What daemons make of the others, where they are copied to.
MADE = {"otel_traces_trace_id_ts", "run_sums", "runs_summed", "runs_touched", "schema_migrations"}


def test_every_table_is_copied_or_made_again(store: Store, server: ClickHouseProcess) -> None:
    """With a row of every type of column, and each counted."""
    fill(store)
    named = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    tables = set(store.query(named, {}).column("name").to_pylist())
    config = StoreConfig.model_validate({"url": server.url, "database": store.database, "ttl": 0})
    with closing(open_store(config, Path("unused"))) as target:
        migrate(target, 0)
        for _ in range(2):
            copied = {table.name: (table.here, table.there) for table in copy_store(store, target, lambda *_: None)}
            assert copied == dict.fromkeys(tables - MADE, (60, 60))


def test_a_store_moves_to_where_another_one_is(
    store: Store,
    server: ClickHouseProcess,
    embedded_config: StoreConfig,
    engine_directory: Path,
    migrated: Callable[[str], None],
) -> None:
    """The server has more rows of the same days, none of them its own: that they are as many says nothing."""
    config = StoreConfig.model_validate({"url": server.url, "database": store.database, "ttl": 0})
    fill(store)
    others = embedded_config.model_copy(update={"database": f"{store.database}_others"})
    with (
        closing(open_store(config, Path("unused"))) as target,
        closing(Store(others, engine_directory, first=False)) as second,
    ):
        migrate(target, 0)
        copy_store(store, target, lambda *_: None)
        migrated(others.database)
        second.use_database()
        try:
            fill(second, 20, prefix="other")
            for _ in range(2):
                copied = {
                    table.name: (table.here, table.there) for table in copy_store(second, target, lambda *_: None)
                }
                counts = {table: target.command(f"SELECT count() FROM {table}") for table in own_tables(second)}
        finally:
            second.command(f"DROP DATABASE {others.database}")
    assert {here for here, _ in copied.values()} == {20}
    assert counts["reprices"] == 80
    assert all(count >= 80 for count in counts.values()), counts


def test_the_guide_moves_rows_into_a_replicated_database(
    store: Store, embedded_config: StoreConfig, engine_directory: Path
) -> None:
    """Here into a plain one: its statements name every table, and run."""
    fill(store)
    text = (DEPLOY / "move-to-replicated.sql").read_text(encoding="utf-8")
    plain = f"{store.database}_plain"
    statements = [
        re.sub(r"\botel\b", store.database, re.sub(r"\botel_plain\b", plain, part))
        for part in re.sub(r"^--.*\n", "", text, flags=re.MULTILINE).split(";\n")
        if part.strip()
    ]
    with closing(Store(embedded_config, engine_directory, first=False)) as moved:
        store.command(statements[0])
        try:
            migrate(moved, 0)
            for statement in statements[1:]:
                moved.command(statement)
            tables = own_tables(moved)
            counts = {table: moved.command(f"SELECT count() FROM {table}") for table in tables}
        finally:
            moved.command(f"DROP DATABASE IF EXISTS {plain}")
    assert counts == dict.fromkeys(tables, 60)


def test_copy_needs_a_server_and_no_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = ["--data-dir", str(tmp_path / "data")]
    assert main(["copy", "--to", "chdb://", *directory]) == 2
    assert "--to is the URL of a server" in capsys.readouterr().err
    assert main(["copy", "--to", "http://127.0.0.1:9", "--set", "store.url=http://127.0.0.1:9", *directory]) == 2
    assert "is a server already" in capsys.readouterr().err
    assert main(["copy", "--to", "http://127.0.0.1:9", *directory]) == 3
    assert "There is no store" in capsys.readouterr().err
