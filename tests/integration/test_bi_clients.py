"""ClickHouse's own client for Python against the interface, unmodified: sync and async, SQLAlchemy, pandas, Arrow."""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

import clickhouse_connect
import pytest
import sqlalchemy
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from tests.support.bi import ONE, bi_daemon
from tests.support.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("bi")) as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=daemon.ports["query"], username="default", password=ONE
    )
    yield client
    client.close()


def test_it_connects_and_reads_types_as_they_are(client: Client) -> None:
    assert client.server_version.startswith("26.")
    assert str(client.server_tz) == "UTC"
    result = client.query("SELECT Model, sum(Cost), min(Timestamp) FROM calls GROUP BY Model ORDER BY Model")
    assert [row[:2] for row in result.result_rows] == [
        ("large-model", Decimal("0.120000000000")),
        ("small-model", Decimal("0.024000000000")),
    ]
    assert result.summary["result_rows"] == "2"
    assert client.command("SELECT count() FROM runs") == 24


def test_parameters_are_bound_by_the_server(client: Client) -> None:
    query = "SELECT count() FROM calls WHERE Model = {model:String} AND InputTokens IN {tokens:Array(UInt64)}"
    assert client.query(query, parameters={"model": "large-model", "tokens": [500, 7]}).first_row == (24,)
    nasty = "it's \\ a\ttab\nand 'more'"
    assert client.query("SELECT {x:String}", parameters={"x": nasty}).first_row == (nasty,)


def test_settings_that_are_allowed_may_be_sent(client: Client) -> None:
    query = "SELECT b FROM (SELECT 1 AS a) AS x LEFT JOIN (SELECT 2 AS a, 3 AS b) AS y USING a"
    assert client.query(query, settings={"join_use_nulls": 1}).first_row == (None,)
    assert client.query("SELECT 1", settings={"max_threads": 1, "max_block_size": 100}).first_row == (1,)


def test_errors_are_its_own(client: Client) -> None:
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("SELECT * FROM nosuch")
    with pytest.raises(DatabaseError, match="READONLY"):
        client.command("CREATE TABLE x (a Int8) ENGINE = Memory")
    with pytest.raises(DatabaseError, match="ACCESS_DENIED"):
        client.query("SELECT file('/etc/passwd')")


def test_a_wrong_password_is_refused(daemon: Daemon) -> None:
    with pytest.raises((DatabaseError, OperationalError), match=r"AUTHENTICATION_FAILED|516"):
        clickhouse_connect.get_client(host="127.0.0.1", port=daemon.ports["query"], password="wrong")


def test_frames_and_tables(client: Client) -> None:
    frame = client.query_df("SELECT Model, Cost, Timestamp FROM calls ORDER BY Timestamp")
    assert len(frame) == 48
    assert frame.Cost.sum() == Decimal("0.144")
    table = client.query_arrow("SELECT * FROM spend_hourly")
    assert table.num_rows == 48
    assert str(table.schema.field("Cost").type) == "decimal128(38, 12)"


def test_streams(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        assert sum(len(block) for block in stream) == 1_000_000
    with (
        pytest.raises(DatabaseError),
        client.query_rows_stream(
            "SELECT intDiv(1, number - 900000) FROM numbers(1000000) SETTINGS max_block_size = 1000"
        ) as rows,
    ):
        for _ in rows:
            pass


def test_the_async_client(daemon: Daemon) -> None:
    async def ask() -> list[int]:
        client = await clickhouse_connect.get_async_client(host="127.0.0.1", port=daemon.ports["query"], password=ONE)
        try:
            results = await asyncio.gather(
                *(client.query(f"SELECT {number}, count() FROM calls") for number in range(8))
            )
        finally:
            await client.close()
        return [result.first_row[0] for result in results]

    assert asyncio.run(ask()) == list(range(8))


def test_sqlalchemy_reflects_and_selects(daemon: Daemon) -> None:
    engine = sqlalchemy.create_engine(f"clickhousedb://default:{ONE}@127.0.0.1:{daemon.ports['query']}/otel")
    inspector = sqlalchemy.inspect(engine)
    assert "otel" in inspector.get_schema_names()
    assert "calls" in {*inspector.get_table_names("otel"), *inspector.get_view_names("otel")}
    names = [column["name"] for column in inspector.get_columns("calls", "otel")]
    assert names[:3] == ["Project", "Timestamp", "TraceId"]
    calls = sqlalchemy.Table("calls", sqlalchemy.MetaData(schema="otel"), autoload_with=engine)
    with engine.connect() as connection:
        query = sqlalchemy.select(calls.c.Model, sqlalchemy.func.sum(calls.c.Cost)).group_by(calls.c.Model)
        assert dict(connection.execute(query).all())["large-model"] == Decimal("0.12")
        count = sqlalchemy.text("SELECT count() FROM calls WHERE Model = :model")
        assert connection.execute(count, {"model": "small-model"}).scalar() == 24
    engine.dispose()
