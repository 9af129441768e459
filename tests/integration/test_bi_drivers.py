"""What BI tools' drivers ask before a person asks anything: of versions, tables, columns and functions; and their charts.

The questions are worded as JDBC's driver under Metabase and the Go driver under Grafana word theirs.
"""

from collections.abc import Iterator

import pytest

from tests.support.bi import ask, bi_daemon, rows, value
from tests.support.daemon import Daemon


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("bi")) as daemon:
        yield daemon


JDBC = [
    "SELECT timezone() AS zone, version()",
    "WITH v AS (SELECT version() AS text, splitByChar('.', text) AS parts) SELECT v.text, toInt32(parts[1]) FROM v",
    "SELECT value = '1' FROM system.settings WHERE name = 'cloud_mode'",
    "SELECT count() = 0 FROM system.clusters WHERE is_local = 0",
    "SELECT count(*) > 0 FROM system.databases WHERE name = 'otel'",
    "SELECT name AS TABLE_SCHEM, '' AS TABLE_CATALOG FROM system.databases ORDER BY name",
    "SELECT 'local' AS TABLE_CAT WHERE 1 = 0",
    "SELECT arrayJoin(['TABLE', 'VIEW']) AS TABLE_TYPE ORDER BY TABLE_TYPE",
    "SELECT `otel`.`calls`.`Model` AS `Model` FROM `otel`.`calls` WHERE 1 <> 1 LIMIT 0",
    "SELECT substring(toString(`Model`), 1, 1234), extract(`Model`, '[a-z]+'), CAST(`Model` AS TEXT) FROM calls LIMIT 9",
    "SELECT parseDateTime64BestEffort('2026-11-29 00:00:00.123', 3, 'UTC'), toDate32('2026-11-29')",
    "SELECT CASE WHEN count() > 0 THEN sum(CASE WHEN `IsError` THEN 1 ELSE 0 END) ELSE NULL END FROM calls",
]
GO = [
    "SELECT displayName(), version(), revision(), timezone()",
    'SHOW TABLES FROM "otel"',
    'DESC TABLE "otel"."calls"',
    "SELECT database, name FROM system.tables ORDER BY database, name",
    "SELECT database, table, name, type, comment FROM system.columns WHERE (database, table) IN (('otel', 'calls'))",
    (
        "SELECT name, is_aggregate, case_insensitive, alias_to, origin, description, syntax, arguments, returned_value, "
        "examples, categories FROM system.functions LIMIT 10000"
    ),
    "SELECT DISTINCT Model FROM otel.calls SETTINGS max_execution_time = 10",
    (
        'SELECT "Timestamp" AS "timestamp", "SpanName" AS "body" FROM "otel"."otel_traces" '
        "WHERE (timestamp >= fromUnixTimestamp64Milli(1700000000000)) ORDER BY timestamp DESC LIMIT 100"
    ),
    (
        "SELECT arrayMap(key -> map('key', key, 'value', SpanAttributes[key]), mapKeys(SpanAttributes)) AS tags, "
        "multiply(toUnixTimestamp64Nano(Timestamp), 0.000001) AS startTime FROM otel_traces ORDER BY startTime LIMIT 10"
    ),
]


@pytest.mark.parametrize("query", JDBC)
def test_of_jdbc(daemon: Daemon, query: str) -> None:
    url = {"default_format": "RowBinaryWithNamesAndTypes", "compress": "1", "select_sequential_consistency": "1"}
    assert not ask(daemon, query, **url).code  # type: ignore[arg-type]


@pytest.mark.parametrize("query", GO)
def test_of_go(daemon: Daemon, query: str) -> None:
    url = {"default_format": "Native", "client_protocol_version": "54485", "enable_http_compression": "1"}
    assert not ask(daemon, query, **url).code  # type: ignore[arg-type]


def test_tables_of_the_catalogue_are_named_in_full_beside_their_aliases(daemon: Daemon) -> None:
    found = rows(
        daemon,
        "SELECT t.name AS name, d.engine AS engine, if(t.is_temporary = 1, 'x', t.engine) AS kind, t.comment AS about "
        "FROM system.tables t JOIN system.databases d ON system.tables.database = system.databases.name "
        "WHERE t.database LIKE 'otel' AND t.name LIKE 'calls'",
    )
    assert [(row["name"], row["kind"]) for row in found] == [("calls", "View")]
    assert value(daemon, "SELECT count() FROM system.columns WHERE system.columns.table = 'calls'") == "29"
    inner = "(SELECT count() FROM system.tables AS t WHERE system.tables.name = 'calls')"
    assert value(daemon, f"SELECT {inner}, count() FROM system.tables AS u WHERE system.tables.name = 'runs'") == "1\t1"


@pytest.mark.parametrize("bucket", ["toStartOfDay", "toStartOfHour", "toMonday", "toStartOfMonth", "toStartOfQuarter"])
@pytest.mark.parametrize("time", ["Timestamp", "toTimeZone(Timestamp, 'Europe/Berlin')", "toDateTime(Timestamp)"])
def test_a_chart_by_time(daemon: Daemon, bucket: str, time: str) -> None:
    query = f"SELECT {bucket}({time}) AS at, sum(Cost) AS cost FROM `otel`.`calls` GROUP BY at ORDER BY at"
    assert sum(float(str(row["cost"])) for row in rows(daemon, query)) == pytest.approx(0.144)
