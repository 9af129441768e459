"""The store's contract, kept by the embedded engine and by a server over HTTP alike.

The server is another daemon's write door; where Docker runs, also a real one.
"""

import importlib
import itertools
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from collector.config import StoreConfig
from collector.decode import decode
from collector.errors import Reason, Rejected, StartError, Unavailable
from collector.model.columns import SPAN_COLUMNS
from collector.model.envelope import Signal
from collector.store import Store, migrate, open_store, writer
from collector.store.migrate import migrations
from collector.store.tables import SPANS, TABLES
from collector.store.writer import as_sent, with_dictionaries
from tests.support.clickhouse_server import ClickHouseProcess
from tests.support.spans import START_NS, envelope
from tests.support.waiting import wait_until

_numbers = itertools.count(1)
Opener = Callable[..., Store]


@pytest.fixture(scope="session")
def http_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseProcess]:
    server = ClickHouseProcess(tmp_path_factory.mktemp("clickhouse-http"))
    server.start()
    yield server
    server.stop()


def docker_url() -> str:
    """A real server through testcontainers, or a skip that says what is missing."""
    if not shutil.which("docker") or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        pytest.skip("a real ClickHouse server needs a Docker daemon, and none answers")
    module: Any = importlib.import_module("testcontainers.community.clickhouse")
    container = module.ClickHouseContainer("clickhouse/clickhouse-server:25.8").start()
    _containers.append(container)
    host, port = container.get_container_host_ip(), container.get_exposed_port(8123)
    return f"http://{container.username}:{container.password}@{host}:{port}"


_containers: list[Any] = []


@pytest.fixture(scope="session")
def docker_server() -> Iterator[str]:
    yield docker_url()
    for container in _containers:
        container.stop()


@pytest.fixture(params=["embedded", "http", "docker"])
def opener(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Opens stores on one fresh database; settings override the configuration."""
    database = f"contract_{next(_numbers)}"
    if request.param == "embedded":
        url, directory = "chdb://", request.getfixturevalue("engine_directory")
    elif request.param == "http":
        url, directory = request.getfixturevalue("http_server").url, Path("unused")
    else:
        url, directory = request.getfixturevalue("docker_server"), Path("unused")
    opened: list[Store] = []

    def open_one(**settings: Any) -> Store:
        config = StoreConfig.model_validate({"url": url, "database": database, "ttl": 0, **settings})
        opened.append(open_store(config, directory))
        return opened[-1]

    yield open_one
    for store in opened[:1]:
        store.command(f"DROP DATABASE IF EXISTS `{database}`")
    for store in opened:
        store.close()


@pytest.fixture
def fresh(opener: Opener) -> Store:
    """Open and migrated, empty."""
    store = opener()
    migrate(store, 0)
    return store


def insert_spans(store: Store, *batches_and_token: Any) -> None:
    """One insert of record batches, under the token given last."""
    *batches, token = batches_and_token
    writer.insert_spans(store, pa.Table.from_batches(batches), token)


def batch(*names: str, trace: int = 1, start_ns: int = START_NS) -> pa.RecordBatch:
    return decode([envelope(trace, list(names), start_ns=start_ns)])


def names(store: Store) -> list[str]:
    table = store.query("SELECT SpanName FROM otel_traces ORDER BY SpanName", {})
    return [str(name) for name in table.column(0).to_pylist()]


def test_a_token_inserts_once(fresh: Store) -> None:
    for _ in range(3):
        insert_spans(fresh, batch("a", "b"), "segment-1/20455")
    assert names(fresh) == ["a", "b"]


def test_a_token_inserts_once_although_others_came_between(fresh: Store) -> None:
    insert_spans(fresh, batch("a"), "segment-1/0")
    for number in range(20):
        insert_spans(fresh, batch(f"other-{number:02}", trace=number + 2), f"segment-2/{number}")
    insert_spans(fresh, batch("a"), "segment-1/0")
    assert names(fresh).count("a") == 1
    assert len(names(fresh)) == 21


def test_another_token_inserts_the_same_rows_again_and_final_counts_them_once(fresh: Store) -> None:
    insert_spans(fresh, batch("a"), "segment-1/0")
    insert_spans(fresh, batch("a"), "segment-2/0")
    assert names(fresh) == ["a", "a"]
    assert fresh.command("SELECT count() FROM otel_traces FINAL") == 1


def test_a_repeated_token_adds_nothing_through_the_materialized_view(fresh: Store) -> None:
    for _ in range(2):
        insert_spans(fresh, batch("a", "b"), "segment-1/0")
    assert fresh.command("SELECT count() FROM otel_traces_trace_id_ts") == 1


def test_a_token_holds_for_another_connection(opener: Opener) -> None:
    first, second = opener(), opener()
    migrate(first, 0)
    migrate(second, 0)
    insert_spans(first, batch("a"), "segment-1/0")
    insert_spans(second, batch("a"), "segment-1/0")
    assert names(second) == ["a"]


def test_a_token_inserts_once_although_two_try_at_once(opener: Opener) -> None:
    """What happens when an insert that timed out here is still carried out there."""
    first, second = opener(), opener()
    migrate(first, 0)
    migrate(second, 0)
    with ThreadPoolExecutor(2) as threads:
        for number in range(20):
            rows = batch("a", "b", trace=number + 1)
            list(threads.map(insert_spans, (first, second), (rows, rows), [f"segment-{number}/0"] * 2))
    assert names(first) == ["a"] * 20 + ["b"] * 20


def test_a_large_insert_is_one_part(fresh: Store) -> None:
    rows = decode([envelope(trace, ["x"] * 1000) for trace in range(1, 31)])
    insert_spans(fresh, rows, "segment-1/0")
    insert_spans(fresh, rows, "segment-1/0")
    assert fresh.command("SELECT count() FROM otel_traces") == 30_000
    parts = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'otel_traces' AND active"
    assert fresh.command(parts) == 1


def test_an_insert_of_several_of_the_engines_blocks_is_one_part_and_inserted_once(fresh: Store) -> None:
    """ClickHouse reads 65,409 rows at a time unless it is told otherwise."""
    few = decode([envelope(trace, ["x"] * 1000) for trace in range(1, 11)])
    rows = pa.Table.from_batches([few] * 15).combine_chunks().to_batches()[0]
    for _ in range(2):
        insert_spans(fresh, rows, "segment-1/0")
    assert fresh.command("SELECT count() FROM otel_traces") == 150_000
    parts = "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'otel_traces' AND active"
    assert fresh.command(parts) == 1


def test_enriched_values_come_back(fresh: Store) -> None:
    """Every kind of type an enriched column has: text, number, decimal or none, maps of both; whole and sliced."""
    decoded = batch("a", "b", "c")
    columns = {
        "Provider": ["openai", "", "ünï"],
        "InputTokens": [0, 7, 2**64 - 1],
        "Cost": [None, Decimal("0.000000000001"), Decimal("999999.999999999999")],
        "UsageDetails": [[], [("audio", 3)], [("audio", 3), ("web", 2**63)]],
        "CostDetails": [[("input", Decimal("0.5"))], [], [("input", Decimal("0.25")), ("output", Decimal("-1.5"))]],
        "Input": ["", "x" * 100_000, "\x00 '\"\\"],
    }
    kinds = {column.name: column.arrow for column in SPAN_COLUMNS}
    rows = decoded
    for name, values in columns.items():
        rows = rows.append_column(pa.field(name, kinds[name]), pa.array(values, kinds[name]))
    insert_spans(fresh, rows.slice(0, 1), "segment-1/0")
    insert_spans(fresh, rows.slice(1), "segment-1/1")
    stored = fresh.query(f"SELECT {', '.join(columns)} FROM otel_traces ORDER BY SpanName", {})
    assert {name: stored.column(name).to_pylist() for name in columns} == columns


def test_repeated_texts_are_sent_as_dictionaries() -> None:
    rows = batch("a", "a", "b")
    sent = with_dictionaries(SPANS, rows)
    assert sent.column("SpanName").dictionary.to_pylist() == ["a", "b"]
    assert sent.column("ResourceAttributes").keys.dictionary.to_pylist() == ["service.name"]
    assert sent.to_pylist() == rows.to_pylist()


def test_several_batches_go_to_a_server_as_texts_and_one_with_dictionaries() -> None:
    """Released servers take the first dictionary of a stream for all of its batches."""

    def kinds(*batches: pa.RecordBatch, embedded: bool) -> list[bool]:
        sent = as_sent(SPANS, pa.Table.from_batches(batches), embedded=embedded)
        return [pa.types.is_dictionary(part.schema.field("SpanName").type) for part in sent]

    rows = batch("a", "a")
    assert kinds(rows, embedded=False) == [True]
    assert kinds(with_dictionaries(SPANS, rows), with_dictionaries(SPANS, rows), embedded=False) == [False, False]
    assert kinds(rows, rows, rows, embedded=True) == [True, True, True]


def test_batches_of_one_insert_keep_their_own_texts(fresh: Store) -> None:
    """Each has dictionaries of its own for the same columns."""
    parts = [batch("a", "b"), batch("c", "b", "d", trace=2), batch("a", trace=3)]
    for _ in range(2):
        insert_spans(fresh, *parts, "segment-1/0")
    assert names(fresh) == ["a", "a", "b", "b", "c", "d"]
    assert fresh.command("SELECT count() FROM system.parts WHERE active AND table = 'otel_traces' "
                         "AND database = currentDatabase()") == 1  # fmt: skip
    services = fresh.query("SELECT DISTINCT ResourceAttributes['service.name'] AS name FROM otel_traces", {})
    assert services.column("name").to_pylist() == ["durability-test"]


def test_two_writers_insert_at_once(fresh: Store) -> None:
    """Each hands over its own rows, not the other's."""
    second = fresh.clone()
    with ThreadPoolExecutor(2) as threads:
        for number in range(20):
            rows = (batch(f"a{number:02}", trace=number + 1), batch(f"b{number:02}", trace=number + 101))
            list(threads.map(insert_spans, (fresh, second), rows, (f"segment-a/{number}", f"segment-b/{number}")))
    second.close()
    assert names(fresh) == [f"a{number:02}" for number in range(20)] + [f"b{number:02}" for number in range(20)]


@pytest.mark.parametrize("compression", ["lz4", "zstd", "none"])
def test_a_server_takes_every_compression(http_server: ClickHouseProcess, compression: str) -> None:
    settings = {"url": http_server.url, "database": f"compressed_{compression}", "ttl": 0, "compression": compression}
    store = open_store(StoreConfig.model_validate(settings), Path("unused"))
    migrate(store, 0)
    insert_spans(store, batch("a", "b"), "segment-1/0")
    assert names(store) == ["a", "b"]
    store.command(f"DROP DATABASE {store.database}")
    store.close()


def test_every_value_comes_back(fresh: Store) -> None:
    rows = batch("a", "ünïcödé \x00 '\"\\\t\n", "")
    insert_spans(fresh, rows, "segment-1/0")
    order = " ORDER BY SpanId"
    columns = ", ".join(f"`{column.name}`" for column in SPAN_COLUMNS if column.decoded)
    table = fresh.query(f"SELECT {columns} FROM otel_traces{order}", {})
    for name in ("SpanName", "TraceId", "SpanId", "Duration", "ServiceName", "Project"):
        assert table.column(name).to_pylist() == rows.column(name).to_pylist()
    assert [dict(pairs) for pairs in table.column("ResourceAttributes").to_pylist()] == [
        {"service.name": "durability-test"}
    ] * 3


def test_poison_is_rejected_whole(fresh: Store) -> None:
    fresh.command("ALTER TABLE otel_traces ADD CONSTRAINT no_poison CHECK SpanName != 'poison'")
    with pytest.raises(Rejected, match="no_poison") as caught:
        insert_spans(fresh, batch("a", "poison", "b"), "segment-1/0")
    assert caught.value.reason is Reason.POISON
    assert names(fresh) == []
    insert_spans(fresh, batch("a", "b"), "segment-1/0")
    assert names(fresh) == ["a", "b"]


@pytest.mark.parametrize(
    "change",
    [
        "RENAME TABLE otel_traces TO elsewhere",
        "ALTER TABLE otel_traces DROP COLUMN TraceState",
    ],
)
def test_a_table_that_does_not_fit_is_unavailable(fresh: Store, change: str) -> None:
    fresh.command(change)
    with pytest.raises(Unavailable) as caught:
        insert_spans(fresh, batch("a"), "segment-1/0")
    assert caught.value.reason is Reason.STORE


def test_a_statement_that_makes_no_sense_is_unavailable(fresh: Store) -> None:
    with pytest.raises(Unavailable, match="ClickHouse refused"):
        fresh.command("SELEKT 1")
    with pytest.raises(Unavailable, match="ClickHouse refused"):
        fresh.query("SELECT * FROM nowhere", {})
    assert fresh.command("SELECT 1") == 1  # and the connection is still good
    assert fresh.query("SELECT 1 AS one", {}).to_pylist() == [{"one": 1}]


def test_parameters_are_bound_not_pasted(fresh: Store) -> None:
    hostile = "x' OR 1 = 1; DROP TABLE otel_traces; -- \\ {} %s"
    insert_spans(fresh, batch("a", hostile), "segment-1/0")
    asked = "SELECT SpanName, {number:UInt64} AS number FROM otel_traces WHERE SpanName = {name:String}"
    assert fresh.query(asked, {"name": hostile, "number": 7}).to_pylist() == [{"SpanName": hostile, "number": 7}]
    assert fresh.query(asked, {"name": "nothing", "number": 7}).to_pylist() == []
    assert fresh.command("SELECT {text:String}", {"text": "1; SELECT 2"}) == "1; SELECT 2"


def test_an_empty_result_has_its_columns(fresh: Store) -> None:
    table = fresh.query("SELECT TraceId, Duration FROM otel_traces", {})
    assert table.num_rows == 0


def test_queries_run_beside_the_writer(fresh: Store) -> None:
    insert_spans(fresh, batch("a"), "segment-1/0")
    with fresh._reader(), fresh._reader():
        insert_spans(fresh, batch("b", trace=2), "segment-2/0")
        assert names(fresh) == ["a", "b"]


def test_migrating_twice_applies_once(opener: Opener) -> None:
    store = opener()
    assert [migration.version for migration in migrate(store, 0)] == [item.version for item in migrations()]
    assert migrate(store, 0) == []
    again = opener()
    assert migrate(again, 0) == []


def test_migrated_columns_are_those_of_the_catalogue(fresh: Store) -> None:
    has_contributors = fresh.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = 'otel_traces' "
        "AND default_kind != 'ALIAS' "
        "ORDER BY position",
        {"database": fresh.database},
    ).to_pylist()
    *columns, purpose = [(c.name, c.clickhouse) for c in SPAN_COLUMNS]
    own = [("ContentExpired", "Bool"), ("CapturePolicy", "LowCardinality(String)")]
    assert [(row["name"], row["type"]) for row in has_contributors] == [*columns, *own, purpose]


def test_a_changed_migration_stops_the_start(fresh: Store) -> None:
    fresh.command(
        "ALTER TABLE schema_migrations UPDATE Checksum = 'other' WHERE Version = 1 SETTINGS mutations_sync = 2"
    )
    with pytest.raises(StartError, match=r"Migration 0001 .* was applied to this database with other contents"):
        migrate(fresh, 0)


def test_a_table_of_someone_else_stops_the_start(opener: Opener) -> None:
    store = opener()
    store.use_database()
    store.command("CREATE TABLE otel_traces (Timestamp DateTime64(9), TraceId String) ENGINE = MergeTree ORDER BY ()")
    with pytest.raises(StartError):
        migrate(store, 0)


def test_retention_follows_the_setting(opener: Opener) -> None:
    store = opener()

    def clause() -> str:
        table = store.query(
            "SELECT engine_full FROM system.tables WHERE database = {d:String} AND name = 'otel_traces'",
            {"d": store.database},
        )
        return str(table.to_pylist()[0]["engine_full"])

    migrate(store, 3600)
    assert "toIntervalSecond(3600)" in clause()
    migrate(store, 7200)
    assert "toIntervalSecond(7200)" in clause()
    migrate(store, 0)
    assert " TTL " not in clause()


def test_each_signal_has_a_retention_of_its_own(opener: Opener) -> None:
    store = opener()
    migrate(store, 3600, logs_ttl=60, metrics_ttl=7)
    question = (
        "SELECT name, extract(engine_full, 'toIntervalSecond.([0-9]+)') AS Seconds FROM system.tables "
        "WHERE database = {d:String} AND (startsWith(name, 'otel_') OR name = 'run_sums') AND engine LIKE '%MergeTree'"
    )
    found = {row["name"]: int(row["Seconds"]) for row in store.query(question, {"d": store.database}).to_pylist()}
    expected = {Signal.TRACES: 3600, Signal.LOGS: 60, Signal.METRICS: 7}
    assert found == {
        name: expected[signal] for signal, tables in TABLES.items() for table in tables for name, _ in table.retention
    }


# -- servers only -------------------------------------------------------------------------------------------------


def test_daemons_migrate_in_turns(http_server: ClickHouseProcess) -> None:
    settings = {"url": http_server.url, "database": "turns", "ttl": 0}
    store = open_store(StoreConfig.model_validate(settings), Path("unused"))
    store.use_database()
    store.command("CREATE TABLE schema_migrating (Held UInt8) ENGINE = MergeTree ORDER BY ()")
    with pytest.raises(Unavailable, match="Another spanmeter is migrating the database turns"):
        migrate(store, 0)
    store.command("DROP TABLE schema_migrating")
    assert migrate(store, 0)
    assert store.command("EXISTS TABLE schema_migrating") == 0
    store.command("DROP DATABASE turns")
    store.close()


def test_a_wrong_password_is_unavailable(http_server: ClickHouseProcess) -> None:
    url = http_server.url.replace(http_server.password, "wrong")
    with pytest.raises(Unavailable, match="Authentication failed") as caught:
        open_store(StoreConfig(url=url), Path("unused"))
    assert caught.value.reason is Reason.STORE
    assert "wrong" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    absent = ClickHouseProcess(tmp_path)
    with pytest.raises(Unavailable, match="does not answer") as caught:
        open_store(StoreConfig(url=absent.url), tmp_path)
    assert absent.password not in str(caught.value)


def test_a_server_that_goes_away_is_unavailable_and_comes_back(tmp_path: Path) -> None:
    server = ClickHouseProcess(tmp_path)
    server.start()
    try:
        store = open_store(StoreConfig.model_validate({"url": server.url, "ttl": 0}), tmp_path)
        migrate(store, 0)
        insert_spans(store, batch("a"), "segment-1/0")
        server.kill()
        with pytest.raises(Unavailable):
            insert_spans(store, batch("b", trace=2), "segment-2/0")
        with pytest.raises(Unavailable):
            store.query("SELECT 1", {})
        server.start()
        insert_spans(store, batch("a"), "segment-1/0")
        insert_spans(store, batch("b", trace=2), "segment-2/0")
        assert names(store) == ["a", "b"]
        store.close()
    finally:
        server.kill()


def test_an_engine_that_cannot_open_is_a_start_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="The embedded store cannot be opened"):
        open_store(StoreConfig(), tmp_path / "file")


def test_an_https_url_speaks_tls_on_any_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = StoreConfig.model_validate({"url": f"https://user:secret@127.0.0.1:{server.getsockname()[1]}"})
        first: list[bytes] = []

        def listen() -> None:
            connection, _ = server.accept()
            first.append(connection.recv(64))
            connection.close()

        thread = threading.Thread(target=listen)
        thread.start()
        with pytest.raises(Unavailable):
            open_store(config, tmp_path)
        thread.join(10)
    assert first[0].startswith(b"\x16\x03"), "a TLS handshake, not a request with the password"


def expiry_of_parts(store: Store) -> set[int]:
    """When the rows of the stored parts expire, in Unix seconds, once the store has carried out what it was asked."""
    undone = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"
    wait_until(lambda: store.command(undone) == 0, 20, "the mutation")
    parts = (
        "SELECT toUnixTimestamp(delete_ttl_info_max) AS At FROM system.parts "
        "WHERE database = currentDatabase() AND table = 'otel_traces' AND active AND rows > 0"
    )
    return {row["At"] for row in store.query(parts, {}).to_pylist()}


@pytest.mark.parametrize(("before", "after"), [(30, 400), (400, 300), (0, 30)])
def test_another_ttl_holds_for_rows_that_are_stored_already(opener: Opener, before: int, after: int) -> None:
    """Or a longer one, set for the sake of a yearly budget, would come too late for the spans of this year."""
    day, now = 86_400, int(time.time())
    store = opener()
    migrate(store, before * day)
    insert_spans(store, decode([replace(envelope(1, ["a"]), received_at=now * 10**9)]), "segment-1/0")
    migrate(store, after * day)
    assert expiry_of_parts(store) == {now + after * day}
