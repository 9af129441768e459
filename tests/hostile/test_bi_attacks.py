"""Attacks on the ClickHouse interface, by kind: what none of them may reach, and what each may cost at most."""

import gzip
import itertools
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import lz4.block
import lz4.frame
import pytest
from clickhouse_cityhash.cityhash import CityHash128

from tests.support.bi import ONE, SECRET, TWO, Response, ask, bi_daemon, value
from tests.support.daemon import Daemon

CANARY = "a line of a file on this machine"
# Codes of refusals: of access, of writing, of syntax, of names that are not there or not ours, of types.
NO = frozenset({36, 42, 43, 46, 47, 48, 53, 60, 62, 63, 81, 115, 164, 321, 371, 456, 497, 512})


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory = tmp_path_factory.mktemp("bi")
    (directory / "secret.txt").write_text(CANARY + "\n")
    with bi_daemon(directory, "query.max_execution_time=3s") as daemon:
        yield daemon


REFUSED: Mapping[str, list[str]] = {
    "the host": [
        "SELECT queryID()", "SELECT initialQueryID()", "SELECT currentUser()", "SELECT user()", "SELECT connectionId()",
        "SELECT currentProfiles()", "SELECT enabledProfiles()", "SELECT currentRoles()", "SELECT enabledRoles()",
        "SELECT getClientHTTPHeader('x-clickhouse-key')", "SELECT catboostEvaluate('{file}', 1)",
        "SELECT showCertificate()", "SELECT regionToName(1)", "SELECT addressToLine(1)", "SELECT addressToSymbol(1)",
        "SELECT demangle('a')", "SELECT shardNum()", "SELECT transactionID()", "SELECT zookeeperSessionUptime()",
        "SELECT getSettingOrDefault('additional_table_filters', '')", "SELECT partitionId(1)", "SELECT trap('segfault')",
        "SELECT isMergeTreePartCoveredBy('a', 'b')", "SELECT mergeTreePartInfo('all_1_1_0')", "SELECT trapUncaught()",
        "SELECT getMaxTableNameLengthForDatabase('otel')", "SELECT blockSerializedSize(1)", "SELECT errorCodeToName(1)",
        "SELECT __getScalar('a')", "SELECT __actionName(1, 'a')", "SELECT __filterContains('x', 1)", "SELECT indexHint(1)",
        "SELECT aiGenerate('x')", "SELECT lemmatize('en', 'a')", "SELECT synonyms('en', 'a')", "SELECT stem('en', 'a')",
        "SELECT fuzzQuery('SELECT 1')", "SELECT formatQuery('SELECT 1')", "SELECT parseQueryToJSON('SELECT 1')",
        "SELECT formatQueryFromJSON('{}')", "SELECT structureToProtobufSchema('a Int8')", "SELECT hasThreadFuzzer()",
        "SELECT generateRandomStructure(1)", "SELECT dumpColumnStructure(1)", "SELECT initialQueryStartTime()",
    ],
    "files and networks by other ways": [
        "SELECT * FROM values('x String DEFAULT file(\\'{file}\\')', ('a'))",
        "SELECT * FROM values('x String MATERIALIZED file(\\'{file}\\')', ('a'))",
        "SELECT * FROM values('x String/**/default hostName()', ('a'))",
        "SELECT x FROM null('x String ALIAS file(\\'{file}\\')')",
        "SELECT x FROM null('x String EPHEMERAL hostName()')",
        "DESC url('http://127.0.0.1:1')", "DESCRIBE TABLE numbers(1)", "COPY otel.calls TO '{file}'",
        "COPY calls TO STDOUT", "IMPORT x", "RESTORE TABLE x FROM File('{file}')", "ATTACH DATABASE x",
        "CREATE DICTIONARY x (a Int8) PRIMARY KEY a SOURCE(FILE(PATH '{file}')) LAYOUT(FLAT()) LIFETIME(1)",
        "CREATE TABLE x ENGINE = File(CSV, '{file}') AS SELECT 1", "CREATE DATABASE x ENGINE = Filesystem('/')",
        "SELECT * FROM fileCluster('default', '{file}')", "SELECT * FROM jdbc('a', 'b')", "SELECT * FROM hdfs('a')",
        "SELECT * FROM urlCluster('default', 'http://127.0.0.1:1')", "SELECT * FROM redis('127.0.0.1:1', 'a', 'a Int8')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')", "SELECT * FROM odbc('a', 'b')",
        "SELECT * FROM iceberg('http://127.0.0.1:1')", "SELECT * FROM deltaLake('http://127.0.0.1:1')",
        "SELECT * FROM remoteSecure('127.0.0.1', 'system.one')", "SELECT * FROM clusterAllReplicas('default', system.one)",
        "SELECT * FROM azureBlobStorage('a', 'b', 'c')", "SELECT * FROM gcs('http://127.0.0.1:1')",
        "SELECT * FROM arrowFlight('127.0.0.1:1', 'a')", "SELECT * FROM ytsaurus('a', 'b', 'c', 'a Int8')",
        "SELECT * FROM prometheusQuery('a', 'b', now())", "SELECT * FROM timeSeriesSelector('a', 'b', now(), now())",
        "SELECT * FROM executablePool('cat', 'TSV', 'a String')", "SELECT * FROM Python('x')", "SELECT * FROM python(x)",
    ],
    "hidden tables": [
        "SELECT 1 IN tuple(otel.schema_migrations)", "SELECT 1 IN ((otel.schema_migrations))",
        "SELECT in('0001', otel.schema_migrations)", "SELECT \"IN\"('0001', otel.schema_migrations)",
        "SELECT arrayExists(x -> in(x, otel.schema_migrations), ['0001'])", "SELECT globalIn(1, otel.schema_migrations)",
        "WITH otel.schema_migrations AS t SELECT 1 IN t", "SELECT nullInIgnoreSet(1, otel.schema_migrations)",
        "SELECT 1 = ANY (SELECT * FROM otel.schema_migrations)", "SELECT has(otel.schema_migrations, 1)",
        "SELECT 1 IN `otel`.`schema_migrations`", "SELECT 1 IN `otel.schema_migrations`", "SELECT 1 IN system.parts",
        "SELECT * FROM `otel.schema_migrations`", "SELECT * FROM calls NATURAL JOIN otel.schema_migrations",
        "SELECT * FROM calls PASTE JOIN otel.schema_migrations", "SELECT * FROM (calls, otel.schema_migrations)",
        "SELECT * FROM calls ASOF JOIN otel.schema_migrations USING (Timestamp)", "TABLE otel.schema_migrations",
        "SELECT * FROM calls GLOBAL ANY LEFT JOIN otel.schema_migrations USING (Timestamp)", "FROM otel.schema_migrations",
        "WITH RECURSIVE t AS (SELECT * FROM otel.schema_migrations UNION ALL SELECT * FROM t) SELECT * FROM t",
        "SELECT * FROM otel.calls(Project = 'two')", "SELECT * FROM calls(1)", "WATCH otel.calls",
        "SELECT * FROM otel.schema_migrations FINAL", "SELECT otel.schema_migrations.Version FROM calls",
        "SELECT (SELECT Version FROM otel.schema_migrations LIMIT 1) FROM calls LIMIT 0",
        "SELECT * FROM default.otel_traces", "SELECT * FROM `otel`.`.inner.x`", "SELECT * FROM system.zookeeper",
    ],
    "where rows stand": [
        "SELECT t._part_offset FROM otel_traces AS t", "SELECT `_part` FROM otel_traces", "SELECT 1 ORDER BY _part_uuid",
        "SELECT count() FROM otel_traces GROUP BY _partition_id", "SELECT arrayMap(x -> _part, [1]) FROM otel_traces",
        "SELECT count() FROM otel_traces WHERE _part_index = 0", "SELECT count(DISTINCT _block_number) FROM otel_traces",
        "SELECT count() OVER (PARTITION BY _part) FROM otel_traces", "SELECT 1 FROM otel_traces LIMIT 1 BY _part",
        "SELECT 1 FROM otel_traces ARRAY JOIN [_part_offset] AS x", "SELECT * REPLACE (_part AS Name) FROM otel_traces",
        "SELECT * APPLY (x -> _part_offset) FROM otel_traces", "SELECT tuple(*, _part) FROM otel_traces",
        "SELECT count() FROM otel_traces SAMPLE 1 / 2 WHERE _sample_factor > 1",
    ],
    "states made up": [
        "SELECT sumMerge(x) FROM values('x AggregateFunction(sum, UInt64)', unhex('0100000000000000'))",
        "SELECT accurateCastOrDefault(unhex('00'), 'AggregateFunction(sum, UInt64)')",
        "SELECT JSONExtract('{\"a\":\"b\"}', 'a', 'AggregateFunction(sum, UInt64)')",
        "SELECT reinterpret(unhex('01'), 'AggregateFunction(sum, UInt64)')",
        "SELECT CAST('', 'Array(Tuple(a AggregateFunction(sum, UInt64)))')",
        "SELECT CAST('', 'Aggregate\\x46unction(sum, UInt64)')", "WITH 'AggregateFunction(sum, Int8)' AS t SELECT CAST('', t)",
        "SELECT variantElement('a'::Variant(String, UInt8), 'AggregateFunction(sum, UInt64)')",
    ],
    "statements": [
        "SHOW SETTINGS PROFILES", "SHOW ENGINES", "SHOW MERGES", "SHOW FILESYSTEM CACHES", "SHOW ACCESS", "SHOW USERS",
        "SHOW DICTIONARIES", "SHOW CREATE USER default", "SHOW ROW POLICIES", "SHOW SETTING additional_table_filters",
        "SHOW TEMPORARY TABLES", "SHOW PRIVILEGES", "SHOW ROLES", "SHOW QUOTA", "SHOW NAMED COLLECTIONS", "SHOW WORKLOADS",
        "SHOW DATABASES WHERE file('{file}') = ''", "SHOW TABLES WHERE hostName() = ''", "EXPLAIN TABLE OVERRIDE x",
        "EXPLAIN CURRENT TRANSACTION", "SET profile = 'x'", "SET TIME ZONE 'UTC'", "SET DEFAULT ROLE x TO y", "COMMIT",
        "SET TRANSACTION SNAPSHOT 1", "UNDROP TABLE x", "EXCHANGE TABLES a AND b", "SELECT 1 PARALLEL WITH SELECT 2",
        "SELECT 1; SELECT 2", "CREATE WORKLOAD x", "CREATE RESOURCE x (WRITE DISK a)", "CREATE USER x", "DROP FUNCTION x",
        "UPDATE calls SET Model = 'x' WHERE 1", "ALTER USER default IDENTIFIED BY 'x'", "SYSTEM STOP MERGES",
        "SYSTEM RELOAD CONFIG", "SYSTEM DROP MARK CACHE", "KILL TRANSACTION WHERE 1", "KILL PART_MOVE_TO_SHARD WHERE 1",
        "PREPARE x AS SELECT 1", "CALL x()", "REPLACE TABLE x (a Int8) ENGINE = Memory", "CREATE TABLE x CLONE AS calls",
        "INSERT INTO FUNCTION null('a Int8') VALUES (1)", "EXPLAIN SYNTAX CREATE TABLE x (a Int8) ENGINE = Memory",
    ],
    "settings": [
        f"SELECT 1 SETTINGS {setting}"
        for setting in (
            "additional_result_filter = '1'", "parallel_replicas_custom_key = 'x'", "max_parallel_replicas = 2",
            "use_query_cache = 1", "query_cache_tag = 'x'", "enable_optimize_predicate_expression = 0", "limit = file('x')",
            "optimize_use_projections = 0", "force_primary_key = 1", "read_overflow_mode = 'break'", "max_rows_to_read = 1",
            "allow_introspection_functions = 1", "enable_reads_from_query_cache = 1", "log_queries_probability = 1",
            "stream_like_engine_allow_direct_select = 1", "workload = 'x'", "use_hive_partitioning = 1", "priority = 1",
            "os_threads_nice_value_query = -20", "user_files_path = '/'", "memory_overcommit_ratio_denominator = 0",
            "max_untracked_memory = 100000000000", "max_memory_usage_for_user = 0", "timeout_before_checking_execution_speed = 0",
            "enable_join_runtime_filters = 0", "query_plan_enable_optimizations = 0", "compile_expressions = 0",
            "function_range_max_elements_in_block = 1000000000000", "send_logs_level = 'trace'", "opentelemetry_trace_processors = 1",
            "max_ast_elements = 0", "max_parser_depth = 100000", "regexp_max_matches_per_row = 0", "dialect = 'kusto'",
            "implicit_select = 1", "enable_scopes_for_with_statement = 0", "allow_experimental_codecs = 1",
        )
    ],
}  # fmt: skip
ANSWERED = {
    "WITH 'two' AS Project SELECT count() FROM otel_traces WHERE ServiceName = '{secret}'": "0",
    "WITH 'one' AS Project SELECT countIf(ServiceName = '{secret}') FROM otel_traces "
    "SETTINGS prefer_column_name_to_alias = 1": "0",
    "SELECT countIf(ServiceName = '{secret}') FROM otel_traces FINAL SETTINGS final = 0": "0",
    "SELECT countIf(ServiceName = '{secret}') FROM otel_traces SETTINGS final = 1": "0",
    "SELECT countIf(ServiceName = '{secret}') FROM otel_traces AS Project": "0",
    "SELECT countIf(Project.ServiceName = '{secret}') FROM (SELECT * FROM otel_traces) AS Project": "0",
    "SELECT countIf(ServiceName = '{secret}') FROM otel_traces ARRAY JOIN ['two'] AS Project": "0",
    "SELECT count() FROM otel_traces AS a FULL JOIN (SELECT 'two' AS Project) AS b USING (Project) "
    "WHERE a.ServiceName = '{secret}'": "0",
    "SELECT groupUniqArray(Project) FROM otel_traces": "['one']",
    "SELECT uniqExact(Project), count() FROM otel_traces": "1\t96",
    "SELECT count() FROM otel_traces WHERE Project = 'two' OR 1": "96",
    "SELECT count() FROM otel_traces WHERE TraceId IN (SELECT TraceId FROM otel_traces WHERE Project = 'two')": "0",
    "SELECT count() FROM merged SETTINGS max_threads = 1": None,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_attacks_are_refused(daemon: Daemon, kind: str) -> None:
    file = str(daemon.directory.parent / "secret.txt")
    for attack in REFUSED[kind]:
        response = ask(daemon, attack.replace("{file}", file))
        assert response.code in NO, (attack, response.code, response.text[:300])
        assert CANARY not in response.text
        assert SECRET not in response.text


def test_there_are_many_attacks() -> None:
    every = list(itertools.chain.from_iterable(REFUSED.values()))
    assert len(set(every)) == len(every) > 200


@pytest.mark.parametrize(("query", "answer"), ANSWERED.items())
def test_rows_of_others_have_no_second_way(daemon: Daemon, query: str, answer: str | None) -> None:
    response = ask(daemon, query.replace("{secret}", SECRET))
    assert response.text.removesuffix("\n") == answer if answer is not None else response.code == 60


def test_what_one_asked_does_not_change_what_another_gets(daemon: Daemon) -> None:
    """The engine remembers which conditions no row of a granule fulfils; the row filter is one of them."""
    asked = f"SELECT count() FROM otel_traces WHERE ServiceName = '{SECRET}'"
    assert [value(daemon, asked, token) for token in (ONE, ONE, TWO, ONE, TWO)] == ["0", "0", "96", "0", "96"]


@pytest.mark.parametrize("given", ["x'; SELECT 1 --", "a b", "x=1&y", "x\n", "", "max_threads", "x\0y", "`", "ü" * 50])
def test_names_of_parameters_are_names(daemon: Daemon, given: str) -> None:
    values: dict[str, Any] = {f"param_{given}": "v", "param_x": "1"}
    assert ask(daemon, "SELECT {x:String}", **values).text == "1\n"


@pytest.mark.parametrize("given", ["\0", "a\0b", "\\N", "'", "\\", "a\\", "\t'", "]", "\x7f", "1); SELECT 2", "\ufffe"])
def test_values_of_parameters_are_values(daemon: Daemon, given: str) -> None:
    for kind in ("String", "Array(String)", "UInt8", "Map(String, UInt8)", "DateTime"):
        response = ask(daemon, f"SELECT length(toString({{x:{kind}}}))", param_x=given)
        assert response.status == 400 or (kind == "String" and response.status == 200), response.text


# -- what it may cost --------------------------------------------------------------------------------------------------

# One step of each takes the product of two lengths of time, or the memory it is told: no limit of time ends it.
ENDLESS = [
    "arrayLevenshteinDistance(range(900000), range(900000))",
    "arrayLevenshteinDistanceWeighted(range(9), range(9), range(9), range(9))",
    "arraySimilarity(range(9), range(9), range(9), range(9))",
    "editDistance('a', 'b')",
    "editDistanceUTF8('a', 'b')",
    "levenshteinDistance('a', 'b')",
    "levenshteinDistanceUTF8('a', 'b')",
    "damerauLevenshteinDistance('a', 'b')",
    "jaroSimilarity('a', 'b')",
    "jaroWinklerSimilarity('a', 'b')",
    "printf('%2000000000d', 1)",
    "arrayMap(editDistance, ['a'], ['b'])",
]


@pytest.mark.parametrize("call", ENDLESS)
def test_what_no_limit_of_time_ends_is_refused(daemon: Daemon, call: str) -> None:
    assert ask(daemon, f"SELECT {call}").code == 497


@pytest.mark.parametrize("asked", ["0.0000000001", "1e9"])
def test_no_value_of_a_limit_is_none(daemon: Daemon, asked: str) -> None:
    busy = "SELECT max(number % 7) FROM numbers(1000000000000)"
    assert ask(daemon, f"{busy} SETTINGS max_execution_time = {asked}").code == 159


@pytest.mark.parametrize(
    "query",
    [
        "SELECT length(timeSlots(toDateTime(0), toUInt32(4000000000), 1))",
        "SELECT length(replaceAll(repeat('a', 1000000), 'a', repeat('b', 1000000)))",
        "SELECT length(h3kRing(toUInt64(581276613233082367), toUInt16(9999)))",
        "SELECT repeat('x', 1000000) FROM numbers(1000) FORMAT Parquet",
    ],
)
def test_memory_ends(daemon: Daemon, query: str) -> None:
    assert ask(daemon, query).code in (159, 241)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1" + " UNION ALL SELECT 1 FROM system.tables" * 6000,
        "WITH " + ",".join(f"a{n} AS (SELECT 1 FROM system.columns)" for n in range(5000)) + " SELECT 1",
        "SELECT " + ",".join(["-1"] * 80_000),
        "WITH 1 AS a0, " + ",".join(f"(a{n - 1}, a{n - 1}) AS a{n}" for n in range(1, 30)) + " SELECT a29",
        "SELECT " + "NOT " * 50_000 + "1",
        "SELECT " + "a." * 50_000 + "b",
    ],
    ids=["unions", "with", "literals", "aliases", "not", "names"],
)
def test_trees_do_not_grow(daemon: Daemon, query: str) -> None:
    response = ask(daemon, query)
    assert response.status in (400, 403), response.text[:300]


@pytest.mark.parametrize(
    ("head", "blank"),
    [
        ("DESCRIBE SELECT 1", " "),
        ("DESCRIBE (SELECT 1)", " "),
        ("DESC WITH 1 AS a SELECT a", ";"),
        ("DESCRIBE TABLE calls", "\n"),
        ("EXISTS calls", " "),
        ("SHOW CREATE TABLE calls", "\t"),
        ("SHOW PROCESSLIST", " ;"),
        ("KILL QUERY WHERE query_id = 'x'", " "),
        ("/*", "/*"),
        ("--", "-- \n"),
    ],
)
def test_long_blanks_are_read_in_one_pass(daemon: Daemon, head: str, blank: str) -> None:
    """Patterns that went back and forth in them would hold the interpreter, and with it ingest, for hours."""
    ask(daemon, head + blank * (240_000 // len(blank)) + "!")
    assert ask(daemon, "SELECT 1").text == "1\n"


# -- forms and packed bodies -------------------------------------------------------------------------------------------

QUERY = b'Content-Disposition: form-data; name="query"'


def form(daemon: Daemon, body: bytes, content_type: str = "multipart/form-data; boundary=b") -> Response:
    return ask(daemon, body, headers={"Content-Type": content_type})


def part(head: bytes, content: bytes = b"SELECT 1") -> bytes:
    return b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n--b--\r\n"


def nested(depth: int) -> bytes:
    inner = QUERY + b"\r\n\r\nSELECT 1"
    for number in range(depth):
        boundary = b"b%d" % number
        inner = b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n%s\r\n--%s--" % (
            boundary, boundary, inner, boundary,
        )  # fmt: skip
    return b"--b\r\n" + inner + b"\r\n--b--\r\n"


HEADS = [
    b"Content-Disposition: " + b"a;" * 60_000,
    b"Content-Disposition: form-data; " + b"(" * 60_000,
    b"Content-Disposition: form-data; " + b";".join(b"name*%d=a" % number for number in range(10_000)),
    b"Content-Disposition: =?utf-8?b?" + b"AAAA" * 20_000 + b"?=",
    b"Content-Type: message/rfc822\r\n" * 5000,
    b":" * 10_000,
    b"Content-Disposition:",
    b"",
]


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_heads_of_parts_are_read_in_one_pass(daemon: Daemon, head: bytes) -> None:
    assert form(daemon, part(head)).code == 36


@pytest.mark.parametrize("content_type", ["", "; boundary=", '; boundary="', "; boundary*0=b", "; boundary=c", "; x=b"])
def test_forms_without_their_boundary(daemon: Daemon, content_type: str) -> None:
    assert form(daemon, part(QUERY), f"multipart/form-data{content_type}").code == 36


def test_forms(daemon: Daemon) -> None:
    assert form(daemon, nested(1000)).code == 36, "parts within parts"
    assert form(daemon, (b"--b\r\n" + QUERY + b"\r\n\r\nSELECT 1\r\n") * 3000 + b"--b--").code == 36
    assert form(daemon, b"--b\r\n" + QUERY + b"\r\n\r\nSELECT 1").code == 36, "cut off"
    assert form(daemon, part(QUERY, b"SELECT '\xff'")).code == 62
    assert form(daemon, part(b'content-disposition: FORM-DATA; filename="a"; NAME=query')).text == "1\n"
    value_of_x = b'Content-Disposition: form-data; name="param_x"\r\nContent-Type: text/plain\r\n\r\na--b\r\n--'
    both = b"preamble\r\n--b\r\n" + QUERY + b"\r\n\r\nSELECT {x:String}\r\n--b\r\n" + value_of_x + b"\r\n--b--"
    assert form(daemon, both, 'multipart/form-data; charset=x; Boundary="b"').text == "a--b\\r\\n--\n"


def block(method: int, size: int, plain: int, packed: bytes) -> bytes:
    rest = struct.pack("<BII", method, size, plain) + packed
    number = CityHash128(rest)
    return struct.pack("<QQ", number >> 64, number & ((1 << 64) - 1)) + rest


BLANKS = b"SELECT 1" + b" " * 100_000_000
PACKED = lz4.block.compress(b"aaaa", store_size=False)


@pytest.mark.parametrize(
    ("body", "encoding", "code"),
    [
        (gzip.compress(BLANKS, 1, mtime=0), "gzip", 229),
        (zlib.compress(BLANKS, 1), "deflate", 229),
        (lz4.frame.compress(BLANKS), "lz4", 229),
        (gzip.compress(gzip.compress(BLANKS, 1, mtime=0), mtime=0), "gzip, gzip", 48),
        (gzip.compress(b"SELECT 1", mtime=0)[:-4], "gzip", 36),
        (lz4.frame.compress(b"SELECT 1")[:-1], "lz4", 36),
        (b"SELECT 1", "br", 48),
        (b"SELECT 1", "x" * 5000, 48),
        (block(0x82, 9, 0xFFFFFFFF, b""), "", 229),
        (block(0x82, 9, 0, b""), "", 271),
        (block(0x82, 0xFFFFFFFF, 4, PACKED), "", 271),
        (block(0x90, 9 + len(PACKED), 4, PACKED), "", 271),
        (block(0x82, 9 + len(PACKED), 200_000, PACKED), "", 271),
        (b"\0" * 25, "", 271),
        (block(0x82, 9 + len(PACKED), 4, PACKED)[::-1], "", 271),
    ],
)
def test_packed_bodies_are_unpacked_as_far_as_a_query_may_be_long(
    daemon: Daemon, body: bytes, encoding: str, code: int
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    assert ask(daemon, body, headers=headers, **({} if encoding else {"decompress": "1"})).code == code


# -- heads and sessions ------------------------------------------------------------------------------------------------


def test_nothing_of_a_request_becomes_a_header(daemon: Daemon) -> None:
    split = "a\r\nSet-Cookie: x=1\r\n\r\n<script>"
    answers = [
        ask(daemon, "SELECT 1", query_id=split),
        ask(daemon, "SELECT 1", default_format=split),
        ask(daemon, "SELECT 1", database=split),
        ask(daemon, "SELECT 1", session_id=split),
        ask(daemon, "SELECT 1 AS `a\r\nSet-Cookie: x=1`", default_format="JSON"),
        ask(daemon, f"SELECT `{split}`"),
    ]
    for answer in answers:
        assert "set-cookie" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not any("\n" in text for text in answer.headers.values())


def test_sessions_of_one_do_not_end_those_of_another(daemon: Daemon) -> None:
    ask(daemon, "SET join_use_nulls = 1", TWO, session_id="kept")
    for number in range(150):
        ask(daemon, "SET limit = 1", session_id=f"s{number}", database="nowhere")
    assert ask(daemon, "SELECT 1", TWO, session_id="kept", session_check="1").text == "1\n"
    assert ask(daemon, "SELECT 1", session_id="s149", session_check="1").text == "1\n"
    assert ask(daemon, "SELECT 1", session_id="s0", session_check="1").code == 372
