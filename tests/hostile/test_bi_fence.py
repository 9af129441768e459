"""What a reader of the ClickHouse interface must not reach: files, the host, hidden tables, other projects' rows.

Every hole that a `readonly=1` handle of the engine has is tried by itself, and then in every place where a query may hold
an expression or a table.
"""

import itertools
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bi import ADMIN, SECRET, TWO, ask, bi_daemon, rows, value
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

CANARY = "a line of a file on this machine"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("bi")
    (directory / "secret.txt").write_text(CANARY + "\n")
    with bi_daemon(directory, "query.max_execution_time=5s") as daemon:
        yield daemon


@pytest.fixture
def secret_file(daemon: Daemon) -> str:
    return str(daemon.directory.parent / "secret.txt")


def leaks(daemon: Daemon, text: str) -> list[str]:
    """What of the host and of the other project stands in `text`."""
    hidden = [CANARY, SECRET, socket.gethostname() * 2, str(daemon.directory)]
    return [each for each in hidden if each in text]


def refused(daemon: Daemon, query: str, **url: Any) -> None:
    response = ask(daemon, query, **url)
    assert response.code, f"answered: {query}\n{response.text[:500]}"
    # A sentence may repeat the query, and so the path in it, but not what is there.
    assert not [each for each in leaks(daemon, response.text) if each not in query], (query, response.text)


HOLES = [
    "SELECT file('{file}')",
    "SELECT 1 INTO OUTFILE '{file}.out'",
    "SELECT 1 INTO OUTFILE '{file}.out' TRUNCATE FORMAT CSV",
    "KILL QUERY WHERE 1",
    "KILL QUERY WHERE user = 'default'",
    "KILL QUERY WHERE query_id = '' OR 1",
    "KILL MUTATION WHERE 1",
    "SET param_x = 'file'",
    "SET ROLE ALL",
    "SET readonly = 0, additional_table_filters = {}",
    "SET additional_table_filters = ''",
    "USE INFORMATION_SCHEMA",
    "SELECT arrayMap(file, ['{file}'])",
    "SELECT arrayMax(file, ['{file}'])",
    "SELECT arrayMin(file, ['{file}'])",
    "DESCRIBE file('{file}')",
    "DESCRIBE TABLE file('{file}', 'LineAsString')",
    "EXPLAIN QUERY TREE SELECT file('{file}')",
    "EXPLAIN ESTIMATE SELECT * FROM otel_traces",
    "EXPLAIN indexes = 1, json = 1 SELECT * FROM otel_traces",
    "EXPLAIN SELECT * FROM otel_traces",
    "EXPLAIN json = 1 SELECT file('{file}')",
    "EXPLAIN PIPELINE SELECT 1",
    "EXPLAIN PLAN description = 1, json = 1, actions = 1 SELECT * FROM otel_traces",
    "EXPLAIN json = '1' SELECT 1",
    "EXPLAIN SYNTAX SELECT file('{file}')",
    "EXPLAIN SYNTAX run_query_tree_passes = 1 SELECT file('{file}')",
    "EXPLAIN SYNTAX SELECT * FROM otel.schema_migrations",
    "EXPLAIN SYNTAX optimize = 1 SELECT 1",
    "EXPLAIN QUERY TREE passes = 9 SELECT 1",
    "EXPLAIN QUERY TREE SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM otel_traces)",
    "EXPLAIN SYNTAX INSERT INTO otel.otel_traces SELECT 1",
    "SELECT * FROM (EXPLAIN SELECT * FROM otel_traces)",
    "EXPLAIN AST SELECT file('{file}')",
    "SELECT 1 FORMAT Protobuf SETTINGS output_format_schema = '{file}'",
    "SELECT 1 SETTINGS output_format_schema = '{file}'",
    "SELECT 1 SETTINGS format_schema = '{file}'",
    "SELECT 1 SETTINGS format_template_resultset = '{file}'",
    "SELECT 1 FORMAT Template",
    "SELECT 1 FORMAT AvroConfluent",
    "SELECT 1 SETTINGS format_avro_schema_registry_url = 'http://127.0.0.1:1'",
    "SELECT hostName()",
    "SELECT hostname()",
    "SELECT fqdn()",
    "SELECT filesystemAvailable()",
    "SELECT filesystemCapacity()",
    "SELECT getServerSetting('max_server_memory_usage')",
    "SELECT getSetting('additional_table_filters')",
    "SELECT getMacro('x')",
    "SELECT buildId()",
    "SELECT uptime()",
    "SELECT serverUUID()",
    "SELECT tcpPort()",
    "SELECT getOSKernelVersion()",
    "SELECT sleep(1)",
    "SELECT sleepEachRow(1) FROM numbers(3)",
    "SELECT * FROM system.stack_trace",
    "SELECT * FROM system.disks",
    "SELECT * FROM system.jemalloc_stats",
    "SELECT * FROM system.symbols",
    "SELECT * FROM system.parts",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.server_settings",
    "SELECT * FROM system.users",
    "SELECT * FROM system.errors",
    "SELECT * FROM mergeTreeIndex('otel', 'otel_traces')",
    "SELECT * FROM merge('otel', '.*')",
    "SELECT * FROM otel.schema_migrations",
    "SELECT * FROM otel.budget_events",
    "SELECT * FROM otel.webhook_deliveries",
    "SELECT dictGet('otel.x', 'y', 1)",
    "SELECT joinGet('otel.x', 'y', 1)",
    "SELECT hasColumnInTable('otel', 'schema_migrations', 'Name')",
    "SELECT * FROM dictionary('x')",
    "SELECT * FROM loop(otel.schema_migrations)",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT file('{file}')))",
    "SELECT 1 SETTINGS short_circuit_function_evaluation = 'disable'",
    "SELECT 1 SETTINGS move_all_conditions_to_prewhere = 0",
    "SELECT 1 SETTINGS query_plan_merge_filters = 0",
    "SELECT 1 SETTINGS session_timezone = 'America/New_York'",
    "SELECT * FROM (SELECT 1 SETTINGS additional_table_filters = {})",
    "SYSTEM FLUSH LOGS",
    "SYSTEM SHUTDOWN",
    "CREATE TABLE otel.x (a Int8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE x (a Int8)",
    "CREATE VIEW x SQL SECURITY DEFINER AS SELECT * FROM otel.otel_traces",
    "CREATE FUNCTION f AS x -> file(x)",
    "CREATE NAMED COLLECTION x AS a = 1",
    "INSERT INTO FUNCTION file('{file}.out') SELECT 1",
    "INSERT INTO otel.otel_traces SELECT * FROM otel.otel_traces",
    "ALTER TABLE otel.otel_traces DELETE WHERE 1",
    "ALTER TABLE otel.otel_traces UPDATE Project = 'one' WHERE 1",
    "DELETE FROM otel.otel_traces WHERE 1",
    "TRUNCATE TABLE otel.otel_traces",
    "RENAME TABLE otel.otel_traces TO otel.x",
    "OPTIMIZE TABLE otel.otel_traces FINAL",
    "DROP DATABASE otel",
    "ATTACH TABLE x FROM '/tmp'",
    "DETACH TABLE otel.otel_traces",
    "BACKUP TABLE otel.otel_traces TO File('{file}.backup')",
    "GRANT ALL ON *.* TO default",
    "CHECK TABLE otel.otel_traces",
    "EXECUTE AS default SELECT 1",
    "BEGIN TRANSACTION",
    "SHOW GRANTS",
    "SHOW CLUSTERS",
    "SHOW CREATE TABLE otel.schema_migrations",
    "SHOW CREATE DATABASE otel",
    "SHOW COLUMNS FROM schema_migrations",
    "SHOW INDEXES FROM otel_traces",
    "SELECT unhex('00')::AggregateFunction(sum, UInt8)",
    "SELECT CAST(unhex('00'), 'AggregateFunction(sum, UInt8)')",
    "SELECT CAST(unhex('00'), concat('Aggregate', 'Function(sum, UInt8)'))",
    "SELECT formatRow('Template', 1)",
    "SELECT max(_part_offset) FROM otel_traces",
    "SELECT _part FROM otel_traces AS t LIMIT 1",
    "SELECT otel.otel_traces._disk_name FROM otel.otel_traces LIMIT 1",
    "SELECT COLUMNS(_part, _part_index) FROM otel_traces LIMIT 1",
    "SELECT count() FROM otel_traces AS a JOIN otel_traces AS b USING (_block_number)",
    "SELECT blockNumber() FROM otel_traces",
    "WITH file AS f SELECT arrayMap(f, ['{file}'])",
    "SELECT file AS f, arrayMap(f, ['{file}'])",
    "SELECT * APPLY(file) FROM (SELECT '{file}')",
    "SELECT arrayFold(file, ['{file}'], '')",
    "SELECT * FROM values('x AggregateFunction(sum, UInt64)', unhex('ff'))",
    "SELECT accurateCastOrDefault(unhex('00'), 'AggregateFunction(sum, UInt8)')",
    "SELECT '{}'::JSON(a AggregateFunction(sum, UInt8))",
    "SELECT 1\0 FROM system.parts",
]


@pytest.mark.parametrize("hole", HOLES)
def test_a_hole_is_closed(daemon: Daemon, secret_file: str, hole: str) -> None:
    refused(daemon, hole.replace("{file}", secret_file))


def test_names_that_parameters_hold_are_checked_too(daemon: Daemon, secret_file: str) -> None:
    for name in ("file", "FILE", "`file`"):
        refused(daemon, f"SELECT arrayMap({{f:Identifier}}, ['{secret_file}'])", param_f=name)
    for name in ("schema_migrations", "otel.schema_migrations", "system.parts", "otel`.`schema_migrations"):
        refused(daemon, "SELECT * FROM {t:Identifier}", param_t=name)
        refused(daemon, "SELECT 1 IN {t:Identifier}", param_t=name)
    refused(daemon, "SELECT * FROM {d:Identifier}.{t:Identifier}", param_d="otel", param_t="schema_migrations")
    refused(daemon, "SELECT {spm_database:String}", param_spm_database="x")
    refused(daemon, "SELECT {x:AggregateFunction(sum, UInt8)}", param_x="a")


# Places of an expression.
EXPRESSIONS = [
    "SELECT {x}",
    "SELECT 1 WHERE toString({x}) != ''",
    "WITH {x} AS a SELECT a",
    "WITH a AS (SELECT {x} AS y) SELECT y FROM a",
    "SELECT (SELECT {x})",
    "SELECT * FROM (SELECT {x})",
    "SELECT * FROM view(SELECT {x})",
    "SELECT arrayMap(y -> {x}, [1])",
    "SELECT arrayFilter(y -> toString({x}) != '', [1])",
    "SELECT [{x}]",
    "SELECT ({x}, 1)",
    "SELECT map('a', {x})",
    "SELECT 1 ORDER BY {x}",
    "SELECT count() GROUP BY {x}",
    "SELECT count() FROM calls GROUP BY GROUPING SETS (({x}), ())",
    "SELECT count() HAVING toString({x}) != ''",
    "SELECT 1 LIMIT length(toString({x}))",
    "SELECT 1 AS a LIMIT 1 BY {x}",
    "SELECT DISTINCT ON ({x}) 1",
    "SELECT 1 UNION ALL SELECT length(toString({x}))",
    "SELECT 1 EXCEPT SELECT length(toString({x}))",
    "SELECT if(1, {x}, {x})",
    "SELECT CASE WHEN 1 THEN {x} END",
    "SELECT CASE {x} WHEN {x} THEN 1 END",
    "SELECT * REPLACE ({x} AS TraceId) FROM calls LIMIT 1",
    "SELECT COLUMNS('TraceId') APPLY (y -> {x}) FROM calls LIMIT 1",
    "SELECT count() OVER (PARTITION BY {x})",
    "SELECT count() OVER w WINDOW w AS (ORDER BY {x})",
    "SELECT 1 FROM calls AS a JOIN calls AS b ON a.TraceId = concat(b.TraceId, toString({x})) LIMIT 1",
    "SELECT 1 FROM calls ARRAY JOIN [{x}] AS y LIMIT 1",
    "SELECT {x} IN ('a')",
    "SELECT 'a' IN (toString({x}))",
    "SELECT 'a' IN (SELECT toString({x}))",
    "SELECT EXISTS(SELECT {x})",
    "SELECT 1 QUALIFY toString({x}) != ''",
    "SELECT number FROM numbers(length(toString({x})))",
    "SELECT sumIf(1, toString({x}) != '')",
    "SELECT count(DISTINCT {x})",
    "SELECT {x}::String",
    "SELECT toString({x}) LIKE '%'",
    "SELECT toString({x}) BETWEEN 'a' AND 'b'",
    "SELECT -length(toString({x}))",
    "SELECT [toString({x})][1]",
    "SELECT tuple({x}).1",
    "SELECT 1 AS a ORDER BY a WITH FILL FROM 1 TO length(toString({x}))",
    "SELECT a, b FROM (SELECT 1 AS a, 'x' AS b) ORDER BY a WITH FILL TO 3 INTERPOLATE (b AS toString({x}))",
    "DESCRIBE (SELECT {x})",
    "SELECT count() FROM calls PREWHERE toString({x}) != ''",
    "FROM calls SELECT {x} LIMIT 1",
    "(SELECT {x})",
    "((SELECT {x}) UNION ALL (SELECT {x}))",
    "/* SELECT 1 */ SELECT /* */ {x} -- {x}",
]
HARMFUL = [
    "file('{file}')", "`file`('{file}')", '"file"(\'{file}\')', "file/**/('{file}')", "file\n(\n'{file}')", "hostName()",
    "hostname()", "FQDN()", "HOSTNAME()", "getServerSetting('path')", "buildId()", "uptime()", "filesystemAvailable()",
    "arrayMap(file, ['{file}'])", "arrayMap(`file`, ['{file}'])", "arrayMax(file, ['{file}'])",
    "arrayFirst(file, ['{file}'])", "arrayMap(y -> file(y), ['{file}'])", "(SELECT file('{file}'))",
    "(SELECT any(Name) FROM otel.schema_migrations)", "(SELECT any(name) FROM system.disks)",
    "(SELECT count() FROM merge('otel', '.*'))", "(SELECT any(line) FROM file('{file}', 'LineAsString', 'line String'))",
    "dictGet('x', 'y', 1)", "getSetting('additional_table_filters')", "sleep(0.1)", "throwIf(1)", "logTrace('x')",
]  # fmt: skip


def test_no_expression_is_out_of_sight(daemon: Daemon, secret_file: str) -> None:
    harmless = ["lower('A')", "arrayMap(y -> lower(y), ['A'])[1]"]
    works = [place for place in EXPRESSIONS if not ask(daemon, place.replace("{x}", harmless[0])).code]
    wrong = [place for place in EXPRESSIONS if place not in works]
    assert not wrong, [ask(daemon, place.replace("{x}", harmless[0])).text for place in wrong]
    for place, harm in itertools.product(EXPRESSIONS, HARMFUL):
        refused(daemon, place.replace("{x}", harm).replace("{file}", secret_file))


# Places of a table.
TABLES = [
    "SELECT * FROM {t} LIMIT 1",
    "SELECT 1 FROM calls, {t} LIMIT 1",
    "SELECT 1 FROM calls CROSS JOIN {t} LIMIT 1",
    "SELECT 1 FROM {t} AS a LEFT JOIN calls AS b ON 1 = 1 LIMIT 1",
    "SELECT * FROM (SELECT * FROM {t}) LIMIT 1",
    "WITH a AS (SELECT * FROM {t}) SELECT * FROM a LIMIT 1",
    "WITH a AS (SELECT 1), b AS (SELECT * FROM {t}) SELECT count() FROM b",
    "SELECT 1 UNION ALL SELECT count() FROM {t}",
    "SELECT (SELECT count() FROM {t})",
    "SELECT EXISTS(SELECT 1 FROM {t})",
    "SELECT 1 IN (SELECT count() FROM {t})",
    "SELECT * FROM view(SELECT * FROM {t}) LIMIT 1",
    "SELECT arrayMap(x -> (SELECT count() FROM {t}), [1])",
    "FROM {t} SELECT count()",
    "SELECT count() FROM {t} SETTINGS max_threads = 1",
    "DESCRIBE TABLE {t}",
    "DESC (SELECT * FROM {t})",
]
HIDDEN = [
    "schema_migrations", "otel.schema_migrations", "`otel`.`schema_migrations`", '"otel"."schema_migrations"',
    "otel . schema_migrations", "budget_events", "otel.webhook_deliveries", "otel.reprices", "system.parts",
    "system.disks", "system.stack_trace", "system.users", "system.query_log", "system.merges", "INFORMATION_SCHEMA.tables",
    "information_schema.columns", "default.x", "file('{file}', 'LineAsString')", "file('{file}')",
    "url('file://{file}', 'LineAsString')", "merge('otel', '.*')", "merge('.*')", "mergeTreeIndex('otel', 'otel_traces')",
    "remote('127.0.0.1', 'otel', 'otel_traces')", "cluster('default', 'otel', 'otel_traces')",
    "executable('cat {file}', 'TSV', 'a String')", "sqlite('{file}', 'x')", "python('x')", "dictionary('x')", "input('a Int8')",
    "loop('otel', 'otel_traces')", "generateRandom('a Int8')", "viewExplain('EXPLAIN', '', (SELECT 1))", "format('CSV', '1')",
    "filesystem('{file}')", "fuzzQuery('SELECT 1')", "eval('SELECT 1')", "s3('http://127.0.0.1/x', 'CSV')",
    "mergeTreeProjection('otel', 'otel_traces', 'x')", "timeSeriesData('x')", "viewIfPermitted(SELECT 1 ELSE null('a Int8'))",
]  # fmt: skip


def test_no_table_is_out_of_sight(daemon: Daemon, secret_file: str) -> None:
    for place in TABLES:
        assert not ask(daemon, place.replace("{t}", "calls")).code, place
    for place, table in itertools.product(TABLES, HIDDEN):
        refused(daemon, place.replace("{t}", table).replace("{file}", secret_file))


def test_a_name_of_a_query_does_not_stand_for_a_table_elsewhere(daemon: Daemon) -> None:
    named = "WITH schema_migrations AS (SELECT 1 AS Version)"
    assert ask(daemon, f"{named} SELECT * FROM schema_migrations").text == "1\n"
    refused(daemon, "WITH schema_migrations AS (SELECT * FROM schema_migrations) SELECT * FROM schema_migrations")
    refused(daemon, f"SELECT ({named} SELECT max(Version) FROM schema_migrations), Name FROM schema_migrations")
    refused(
        daemon,
        f"SELECT * FROM ({named} SELECT * FROM schema_migrations) UNION ALL SELECT Version FROM schema_migrations",
    )
    refused(daemon, f"{named} SELECT * FROM otel.schema_migrations")
    refused(daemon, f"{named} SELECT 1 IN otel.schema_migrations")
    refused(daemon, "SELECT 1 IN schema_migrations")
    refused(daemon, "SELECT '0001' IN otel.schema_migrations")


def test_system_tables_say_nothing_of_the_host(daemon: Daemon) -> None:
    for table in ("tables", "columns", "databases", "settings", "processes", "functions", "formats"):
        text = value(daemon, f"SELECT * FROM system.{table} FORMAT JSONEachRow")
        assert not leaks(daemon, text), table
        assert "schema_migrations" not in text
        assert "budget_events" not in text or table == "tables", "a view's text names what it reads"
    assert (
        value(daemon, "SELECT groupUniqArray(total_rows), groupUniqArray(data_paths) FROM system.tables") == "[]\t[[]]"
    )
    assert value(daemon, "SELECT count() FROM system.processes") == "0"
    assert value(daemon, "SHOW PROCESSLIST") == ""


# Each would fail, and show what it failed on, if a row of the other project were looked at.
EVIDENCE = "if(Project = 'two', toUInt64(ServiceName), 1)"
LOOKING = [
    "SELECT count() FROM {t} PREWHERE {e} = 1",
    "SELECT count() FROM {t} WHERE {e} = 1",
    "SELECT count() FROM {t} WHERE Project = 'two' AND toUInt64(ServiceName) = 1",
    "SELECT count() FROM {t} WHERE toUInt64(ServiceName) = 1 AND Project = 'two'",
    "SELECT max({e}) FROM {t}",
    "SELECT {e} AS x, count() FROM {t} GROUP BY x",
    "SELECT TraceId FROM {t} ORDER BY {e} LIMIT 1",
    "SELECT count() FROM {t} HAVING max({e}) = 1",
    "SELECT count() FROM (SELECT * FROM {t}) WHERE {e} = 1",
    "SELECT count() FROM (SELECT * FROM {t}) AS a JOIN (SELECT 1 AS one) AS b ON {e} = b.one",
    "SELECT count() FROM {t} ARRAY JOIN [{e}] AS x",
    "SELECT sum({e}) OVER () FROM {t} LIMIT 1",
    "SELECT count() FROM {t} WHERE (SELECT max({e}) FROM {t}) = 1",
    "SELECT TraceId FROM {t} LIMIT 1 BY {e}",
    "WITH a AS (SELECT {e} AS x FROM {t}) SELECT max(x) FROM a",
    "SELECT count() FROM {t} WHERE arrayExists(x -> if(Project = 'two', toUInt64(ServiceName), 1) = x, [1])",
]


# Functions that fail on some values, asked of values that only rows of the other project have.
FAILING = [
    "toUInt64(if({two}, ServiceName, '1'))", "intDiv(1, if({two}, 0, 1))", "length(range(if({two}, 1000000000, 1)))",
    "toFixedString(if({two}, 'abcdefgh', 'a'), 3)", "toUUID(if({two}, 'x', '61f0c404-5cb3-11e7-907b-a6006ad3dba0'))",
    "IPv4StringToNum(if({two}, 'x', '1.1.1.1'))", "base64Decode(if({two}, '!', 'YQ=='))", "bitShiftLeft(1, if({two}, -1, 1))",
    "toDateTime(if({two}, 'x', '2020-01-01 00:00:00'))", "factorial(if({two}, 30, 3))", "bitTest(1, if({two}, 9999, 1))",
    "length(repeat('x', if({two}, 2000000, 1)))", "toDecimal64(if({two}, 'x', '1'), 2)", "positiveModulo(1, if({two}, 0, 1))",
    "accurateCast(if({two}, 300, 1), 'UInt8')", "CAST(if({two}, NULL, 1), 'UInt8')", "match('a', if({two}, '(', 'a'))",
    "arrayZip(range(if({two}, 2, 1)), [1])[1].2", "arrayMap((a, b) -> a + b, range(if({two}, 2, 1)), [1])[1]",
    "if({two}, '[x', '[1]')::Array(UInt8)", "toDecimal64(1, 2) / toDecimal64(if({two}, 0, 1), 2)",
]  # fmt: skip
# Places where a planner may move a condition, the more so when there are several.
MOVED = [
    "WHERE ignore({e}) = 0",
    "WHERE toString({e}) != 'z'",
    "PREWHERE toString({e}) != 'z'",
    "PREWHERE toString({e}) != 'z' WHERE TraceId != ''",
    "WHERE toString({e}) != 'z' AND Project = 'two'",
    "WHERE Project = 'two' AND toString({e}) != 'z'",
    "WHERE Project != 'x' AND toString({e}) != 'z' AND TraceId != 'x'",
    "WHERE TraceId != '' AND toString({e}) != 'z' AND ServiceName != 'x'",
    "WHERE toString({e}) != 'z' AND TraceId != '' AND ServiceName != 'x' AND Timestamp > '2000-01-01 00:00:00'",
    "WHERE (toString({e}) != 'z' OR SpanId = 'q') AND (ServiceName != '' OR TraceId = 'a')",
    "WHERE toString({e}) != 'z' AND TraceId IN (SELECT TraceId FROM {t})",
    "WHERE NOT (toString({e}) = 'z') AND Timestamp > '2000-01-01 00:00:00'",
    "AS a JOIN (SELECT '1' AS one) AS b ON toString({e}) = b.one AND TraceId != ''",
    "AS a JOIN (SELECT TraceId AS id FROM {t}) AS b ON a.TraceId = b.id WHERE toString({e}) != 'z'",
    "WHERE TraceId != '' GROUP BY toString({e}) HAVING count() > 0",
]


@pytest.mark.parametrize("table", ["otel_traces", "calls"])
def test_no_condition_runs_before_the_row_filter(daemon: Daemon, table: str) -> None:
    for failing, place in itertools.product(FAILING, MOVED):
        query = f"SELECT count() FROM {{t}} {place}".replace("{e}", failing).replace("{t}", table)
        response = ask(daemon, query.replace("{two}", "Project = 'two'"))
        assert not response.code, (query, response.text)
    shown = ask(daemon, f"SELECT count() FROM {table} WHERE toUInt64(if(Project = 'one', ServiceName, '1')) = 1")
    assert shown.code == 6, "of rows of one's own it fails"


@pytest.mark.parametrize("table", ["otel_traces", "otel.otel_traces", "otel_traces FINAL", "calls", "tool_calls"])
def test_rows_of_others_are_not_looked_at(daemon: Daemon, table: str) -> None:
    for query in LOOKING:
        response = ask(daemon, query.replace("{e}", EVIDENCE).replace("{t}", table))
        assert not response.code, (query, response.text)
        assert SECRET not in response.text


def test_the_row_filter_holds_in_every_view(daemon: Daemon) -> None:
    for view in ("calls", "runs", "rounds", "tool_calls", "spend_daily", "spend_hourly", "otel_traces"):
        assert {row["Project"] for row in rows(daemon, f"SELECT DISTINCT Project FROM {view}")} == {"one"}
        assert {row["Project"] for row in rows(daemon, f"SELECT DISTINCT Project FROM {view}", TWO)} == {"two"}
        assert value(daemon, f"SELECT count() FROM {view} WHERE Project = 'two'") == "0"
        assert not leaks(daemon, value(daemon, f"SELECT * FROM {view} FORMAT JSONEachRow"))
    assert value(daemon, "SELECT count() FROM otel_traces_trace_id_ts WHERE Project = 'two'") == "0"


def test_a_project_sees_what_its_own_budgets_told(tmp_path: Path) -> None:
    line = {"limit_usd": 0.01, "period": "month", "warn_at": []}
    budgets = [
        {"name": "each", **line, "per": ["service", "project"]},
        {"name": "theirs", **line, "match": {"project": "two"}},
        {"name": "shared", **line, "match": {"project": ["one", "two"]}},
    ]
    told = "SELECT DISTINCT Budget, Project FROM budget_history ORDER BY ALL"
    with bi_daemon(tmp_path, budgets=budgets) as daemon:
        wait_until(lambda: value(daemon, "SELECT uniqExact(Budget) FROM budget_history", ADMIN) == "3", 30, "events")
        assert value(daemon, told) == "each\tone"
        assert value(daemon, told, TWO) == "each\ttwo\ntheirs\ttwo"
        assert value(daemon, told, ADMIN) == "each\tone\neach\ttwo\nshared\t\ntheirs\ttwo"
        refused(daemon, "SELECT * FROM budget_events")


def test_system_tables_have_the_columns_that_a_server_s_have(daemon: Daemon) -> None:
    asked = (
        "SELECT total_bytes_uncompressed, parts, active_parts, total_marks, engine_full, loading_dependent_table, table "
        "FROM system.tables LIMIT 1"
    )
    assert value(daemon, asked).startswith("\\N\t\\N\t")
    assert value(daemon, "SELECT statistics, serialization_hint, column FROM system.columns LIMIT 1")


def test_scans_do_not_show_how_much_others_have(daemon: Daemon) -> None:
    for query in ("SELECT count() FROM otel_traces", "SELECT count() FROM otel_traces FORMAT JSON"):
        response = ask(daemon, query)
        told = response.text + response.headers["x-clickhouse-summary"]
        assert "192" not in re.findall(r"\d+", told), told
    assert ask(daemon, "SELECT count() FROM otel_traces FORMAT JSONEachRowWithProgress").code == 73


def test_what_is_nested_or_long_is_refused_in_time(daemon: Daemon) -> None:
    for query in (
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT " + "-" * 2000 + "1",
        "SELECT " + "[" * 500 + "]" * 500,
        "SELECT " + "(SELECT " * 400 + "1" + ")" * 400,
        "SELECT " + "1+" * 100_000 + "1",
        "SELECT " + "x" * 300_000,
    ):
        assert ask(daemon, query).code
    assert ask(daemon, "SELECT 1").text == "1\n"
