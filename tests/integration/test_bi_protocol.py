"""The ClickHouse interface as ClickHouse's own clients expect it: statuses, headers, formats, packing, sessions."""

import base64
import gzip
import io
import json
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import lz4.frame
import pyarrow as pa
import pytest

from collector.bi.blocks import Blocks, unpack_blocks
from collector.net.zstd import zstd
from tests.support.bi import ADMIN, NO_QUERIES, ONE, TWO, ask, bi_daemon, value
from tests.support.daemon import Daemon, running
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("bi"), "query.max_result_rows=3000000") as daemon:
        yield daemon


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_whether_it_lives_is_said_to_anyone(daemon: Daemon, path: str) -> None:
    connection = ask(daemon, "", None, method="POST", path=path) if path != "/" else None
    with socket.create_connection(("127.0.0.1", daemon.ports["query"]), 10) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert b"".join(iter(lambda: raw.recv(4096), b"")).endswith(b"Ok.\n")
    assert connection is None or connection.text == "Ok.\n"
    assert ask(daemon, "SELECT 1", path="/else").status == 404


def test_a_query_comes_in_the_url_the_body_or_both(daemon: Daemon) -> None:
    assert ask(daemon, "SELECT 1 + 1").text == "2\n"
    assert ask(daemon, "SELECT 1 + 1", method="GET").text == "2\n"
    assert ask(daemon, "+ 2", query="SELECT 1").text == "3\n"
    assert ask(daemon, "SELECT 1 -- that is all\n;").text == "1\n"
    assert ask(daemon, "SELECT 1", method="HEAD").status == 200
    assert ask(daemon, f"SELECT 1 -- {'long ' * 4000}").text == "1\n"


def test_a_result_carries_the_headers_that_clients_read(daemon: Daemon) -> None:
    response = ask(daemon, "SELECT number FROM numbers(3) FORMAT CSV", query_id="mine")
    assert response.headers["x-clickhouse-query-id"] == "mine"
    assert response.headers["x-clickhouse-format"] == "CSV"
    assert response.headers["x-clickhouse-timezone"] == "UTC"
    assert response.headers["x-clickhouse-server-display-name"] == "spanmeter"
    assert response.headers["content-type"] == "text/csv; charset=UTF-8; header=absent"
    summary = json.loads(response.headers["x-clickhouse-summary"])
    assert (summary["result_rows"], summary["result_bytes"]) == ("3", "6")
    assert all(isinstance(each, str) for each in summary.values())
    assert "\r" not in ask(daemon, "SELECT 1", query_id="a\r\nx-evil: 1").headers["x-clickhouse-query-id"]


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("SELEC 1", 62, 400),
        ("", 62, 400),
        ("SELECT 1; SELECT 2", 62, 400),
        ("SELECT nosuch", 47, 404),
        ("SELECT nosuch(1)", 46, 404),
        ("SELECT * FROM nosuch", 60, 404),
        ("SELECT * FROM otel.schema_migrations", 60, 404),
        ("SELECT 1 FORMAT Nosuch", 73, 404),
        ("SELECT 1 SETTINGS nosuch = 1", 115, 404),
        ("SELECT 1 SETTINGS max_download_threads = 1", 164, 500),
        ("INSERT INTO calls VALUES (1)", 164, 500),
        ("DROP TABLE otel_traces", 164, 500),
        ("USE nosuch", 81, 404),
        ("SELECT toInt8('x')", 6, 400),
    ],
)
def test_errors_are_as_clickhouse_gives_them(daemon: Daemon, query: str, code: int, status: int) -> None:
    response = ask(daemon, query)
    assert (response.code, response.status) == (code, status), response.text
    assert response.text.startswith(f"Code: {code}. DB::Exception: ")
    assert response.text.count("DB::Exception") == 1
    assert response.text.endswith(")\n")
    assert "parseQueryToJSON" not in response.text


def test_credentials_come_in_one_of_three_ways(daemon: Daemon) -> None:
    ways: list[tuple[dict[str, str], dict[str, Any]]] = [
        (basic("anyone", ONE), {}),
        ({"Authorization": f"Bearer {ONE}"}, {}),
        ({"X-ClickHouse-User": "me", "X-ClickHouse-Key": ONE}, {}),
        ({}, {"user": "default", "password": ONE}),
    ]
    for headers, url in ways:
        assert ask(daemon, "SELECT 1", None, headers=headers, **url).text == "1\n"


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({}, {}),
        (basic("default", ""), {}),
        (basic("default", "wrong"), {}),
        (basic("default", NO_QUERIES), {}),
        ({**basic("default", ONE), "X-ClickHouse-Key": ONE}, {}),
        (basic("default", ONE), {"password": ONE}),
        ({"Authorization": "Digest x"}, {}),
        ({"Authorization": "Basic !"}, {}),
    ],
)
def test_others_are_refused_before_their_query_is_read(
    daemon: Daemon, headers: dict[str, str], url: dict[str, Any]
) -> None:
    response = ask(daemon, "SELEC", None, headers=headers, **url)
    assert (response.code, response.status) == (516, 403)


def test_a_project_sees_its_own_rows(daemon: Daemon) -> None:
    assert value(daemon, "SELECT uniqExact(ServiceName), any(Project) FROM calls", TWO) == "1\ttwo"
    assert value(daemon, "SELECT count(), any(Project) FROM calls", ADMIN) == "48\tone"


@pytest.mark.parametrize(
    "name",
    ["TabSeparated", "TSVWithNames", "CSVWithNames", "JSON", "JSONCompact", "JSONEachRow", "Pretty", "Vertical"],
)
def test_formats_are_chosen_by_clause_header_and_default(daemon: Daemon, name: str) -> None:
    query = "SELECT number, toString(number) AS text FROM numbers(1000)"
    by_clause = ask(daemon, f"{query} FORMAT {name}", default_format="TSV", headers={"X-ClickHouse-Format": "CSV"})
    by_header = ask(daemon, query, default_format="TSV", headers={"X-ClickHouse-Format": name})
    by_default = ask(daemon, query, default_format=name)
    if name.startswith("JSON") and "EachRow" not in name:
        sizes = {len(json.loads(one.text)["data"]) for one in (by_clause, by_header, by_default)}
        assert sizes == {1000}
    else:
        assert by_clause.body == by_header.body == by_default.body


def test_binary_formats_are_whole(daemon: Daemon) -> None:
    arrow = ask(daemon, "SELECT number FROM numbers(100000) FORMAT ArrowStream").body
    assert pa.ipc.open_stream(io.BytesIO(arrow)).read_all().num_rows == 100_000
    assert len(ask(daemon, "SELECT number FROM numbers(100000) FORMAT RowBinary").body) == 800_000
    assert ask(daemon, "SELECT number FROM numbers(100000) FORMAT Parquet").body.endswith(b"PAR1")


@pytest.mark.parametrize(
    ("encoding", "unpack"),
    [("gzip", gzip.decompress), ("deflate", zlib.decompress), ("zstd", zstd.decompress), ("lz4", lz4.frame.decompress)],
)
@pytest.mark.parametrize("rows", [3, 400_000])
def test_answers_are_packed_where_clients_ask(daemon: Daemon, encoding: str, unpack: object, rows: int) -> None:
    query = f"SELECT number FROM numbers({rows})"
    plain = ask(daemon, query)
    packed = ask(daemon, query, headers={"Accept-Encoding": encoding}, enable_http_compression="1")
    assert packed.headers["content-encoding"] == encoding
    assert unpack(packed.body) == plain.body  # type: ignore[operator]
    assert "content-encoding" not in ask(daemon, query, headers={"Accept-Encoding": encoding}).headers
    unwanted = ask(daemon, query, headers={"Accept-Encoding": f"{encoding};q=0"}, enable_http_compression="1")
    assert "content-encoding" not in unwanted.headers


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("zstd", zstd.compress), ("lz4", lz4.frame.compress)],
)
def test_queries_may_be_packed_and_not_grow_beyond_the_limit(daemon: Daemon, encoding: str, pack: object) -> None:
    headers = {"Content-Encoding": encoding}
    assert ask(daemon, pack(b"SELECT 7"), headers=headers).text == "7\n"  # type: ignore[operator]
    bomb = pack(b"SELECT 1" + b" " * 50_000_000)  # type: ignore[operator]
    assert ask(daemon, bomb, headers=headers).status == 413
    assert ask(daemon, b"not packed", headers=headers).code == 36
    assert ask(daemon, pack(b"SELECT 7")[:-4], headers=headers).code == 36, "cut off"  # type: ignore[operator]


@pytest.mark.parametrize("rows", [0, 3, 400_000])
def test_answers_come_in_blocks_of_clickhouse_where_clients_ask(daemon: Daemon, rows: int) -> None:
    query = f"SELECT number FROM numbers({rows})"
    answer = ask(daemon, query, compress="1")
    assert "content-encoding" not in answer.headers
    assert unpack_blocks(answer.body, 10_000_000) == ask(daemon, query).body


def test_queries_come_in_blocks_of_clickhouse(daemon: Daemon) -> None:
    blocks = Blocks()
    assert ask(daemon, blocks.update(b"SELECT 7"), decompress="1").text == "7\n"
    assert ask(daemon, blocks.update(b"SELECT 7" + b" " * 50_000_000), decompress="1").status == 413
    sound = blocks.update(b"SELECT 7")
    for broken in (sound[:-1], sound[:10], b"\0" + sound[1:], sound[:16] + b"\x02" + sound[17:], sound + b"x"):
        assert ask(daemon, broken, decompress="1").code == 271


def test_a_plan_as_json_tells_the_types_of_a_result(daemon: Daemon) -> None:
    plan = ask(daemon, "EXPLAIN json = 1, description = 0, header = 1 SELECT sum(Cost) AS c FROM calls FORMAT TSVRaw")
    assert json.loads(plan.text)[0]["Plan"]["Header"] == [{"Name": "c", "Type": "Nullable(Decimal(38, 12))"}]


@pytest.mark.parametrize("kind", ["SYNTAX", "SYNTAX oneline = 1", "QUERY TREE", "QUERY TREE run_passes = 0"])
def test_how_a_query_is_read_is_explained(daemon: Daemon, kind: str) -> None:
    assert "calls" in value(daemon, f"EXPLAIN {kind} SELECT count() FROM calls WHERE Model = 'small-model'")


def test_progress_is_told_while_a_query_runs(daemon: Daemon) -> None:
    query = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"
    url: dict[str, Any] = {"send_progress_in_http_headers": "1", "http_headers_progress_interval_ms": "1"}
    failed = ask(daemon, query, max_execution_time="0.7", **url)
    assert (failed.status, failed.code) == (200, 159), "the status was sent before"
    assert failed.text.startswith("Code: 159")
    progress = json.loads(failed.headers["x-clickhouse-progress"])
    assert 0.1e9 < int(progress["elapsed_ns"]) < 2e9
    assert progress["read_rows"] == "0"
    answer = ask(daemon, "SELECT sum(cityHash64(number)) > 0 FROM numbers(2000000000)", **url)
    assert (answer.status, answer.text) == (200, "1\n")
    assert "x-clickhouse-progress" in answer.headers
    assert "x-clickhouse-progress" not in ask(daemon, "SELECT 1").headers


def test_parameters_are_bound(daemon: Daemon) -> None:
    query = "SELECT {n:UInt8} + 1, {s:String}, {a:Array(String)}"
    url: dict[str, Any] = {"param_n": "41", "param_s": "it's a \\t tab\n", "param_a": "['x','y']"}
    assert ask(daemon, query, **url).text == "42\tit\\'s a \\t tab\\n\t['x','y']\n"
    assert ask(daemon, "SELECT count() FROM {t:Identifier}", param_t="calls").text == "48\n"
    assert ask(daemon, "SELECT any({c:Identifier}) FROM calls", param_c="ServiceName").text == "shop\n"
    assert (
        ask(daemon, "SELECT count() FROM {d:Identifier}.{t:Identifier}", param_d="otel", param_t="calls").text == "48\n"
    )
    assert ask(daemon, "SELECT {n:UInt8}").code == 456


def test_parameters_and_query_may_come_as_a_form(daemon: Daemon) -> None:
    body = (
        '--x\r\nContent-Disposition: form-data; name="query"\r\n\r\nSELECT {a:String}\r\n'
        '--x\r\nContent-Disposition: form-data; name="param_a"\r\n\r\nform\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert ask(daemon, body, headers=headers).text == "form\n"


def test_sessions_keep_settings_and_database(daemon: Daemon) -> None:
    assert ask(daemon, "SET join_use_nulls = 1", session_id="a").text == ""
    outer = "SELECT isNull(b) FROM (SELECT 1 AS a) AS x LEFT JOIN (SELECT 2 AS a, 3 AS b) AS y USING a"
    assert [ask(daemon, outer, session_id=name).text for name in "ab"] == ["1\n", "0\n"]
    assert ask(daemon, outer, TWO, session_id="a").text == "0\n", "a session is its owner's"
    assert ask(daemon, "USE system", session_id="a").status == 200
    assert ask(daemon, "SELECT name FROM databases ORDER BY name", session_id="a").text == "otel\nsystem\n"
    assert ask(daemon, "SELECT 1", session_id="never", session_check="1").code == 372
    assert ask(daemon, "SELECT 1", session_id="x", session_timeout="-1").code == 374
    assert ask(daemon, "SELECT 1", session_id="x" * 201).code == 36


def test_settings_are_capped(daemon: Daemon) -> None:
    rows = "SELECT count() FROM (SELECT number FROM numbers({}))"
    assert ask(daemon, "SELECT number FROM numbers(3000001) FORMAT Null").code in (158, 396)
    assert ask(daemon, "SELECT number FROM numbers(3000001) FORMAT Null", max_result_rows="0").code in (158, 396)
    assert ask(daemon, "SELECT number FROM numbers(11)", max_result_rows="10").code in (158, 396)
    assert ask(daemon, "SELECT number FROM numbers(11) SETTINGS max_result_rows = 10").code in (158, 396)
    assert ask(daemon, rows.format(1), max_memory_usage="-1").code == 72
    assert ask(daemon, "SELECT 1", max_threads="1e9").text == "1\n"
    sent: dict[str, Any]
    for harmless in (
        "readonly",
        "send_progress_in_http_headers",
        "log_comment",
        "client_protocol_version",
        "buffer_size",
    ):
        sent = {harmless: "1"}
        assert ask(daemon, "SELECT 1", **sent).text == "1\n"
    assert ask(daemon, "SELECT 1", role="admin").code == 512


def test_statements_about_the_catalogue(daemon: Daemon) -> None:
    assert value(daemon, "SHOW DATABASES") == "otel\nsystem"
    tables = value(daemon, "SHOW TABLES").split()
    assert {"calls", "runs", "spend_daily", "spend_hourly", "tool_calls", "rounds", "budget_history"} <= set(tables)
    assert "schema_migrations" not in tables
    assert value(daemon, "SHOW TABLES FROM otel LIKE 'spend%'") == "spend_daily\nspend_hourly"
    assert value(daemon, "EXISTS TABLE calls") == "1"
    assert value(daemon, "EXISTS schema_migrations") == "0"
    assert value(daemon, "DESCRIBE TABLE otel.calls").split("\t")[0] == "Project"
    assert value(daemon, "DESC (SELECT 1 AS x)").startswith("x\tUInt8")
    assert value(daemon, "SHOW CREATE TABLE calls").startswith("CREATE VIEW otel.calls")
    assert "Cost\tNullable(Decimal(18, 12))" in value(daemon, "SHOW COLUMNS FROM calls")
    assert value(daemon, "SELECT currentDatabase(), database(), displayName()") == "otel\totel\tspanmeter"
    assert value(daemon, "SELECT count() FROM system.tables WHERE database = 'otel'") == str(len(tables))


def test_a_late_error_is_marked_and_ends_the_connection(daemon: Daemon) -> None:
    query = "SELECT number, intDiv(1, number - 1500000) FROM numbers(2000000) SETTINGS max_block_size = 1000"
    with socket.create_connection(("127.0.0.1", daemon.ports["query"]), 30) as raw:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-ClickHouse-Key: {ONE}\r\nContent-Length: {len(query)}\r\n\r\n"
        raw.sendall(head.encode() + query.encode())
        answer = b"".join(iter(lambda: raw.recv(1 << 20), b""))
    assert answer.startswith(b"HTTP/1.1 200")
    tag = answer.partition(b"x-clickhouse-exception-tag: ")[2][:16]
    mark = b"\r\n__exception__\r\n"
    assert mark + tag + b"\r\nCode: 153." in answer
    assert answer.rstrip().endswith(tag + mark.rstrip()), answer[-100:]
    assert not answer.endswith(b"0\r\n\r\n"), "an answer cut short has no end"
    waited = ask(daemon, query, wait_end_of_query="1")
    assert (waited.code, waited.status) == (153, 500)


def test_a_client_that_goes_ends_its_query(daemon: Daemon) -> None:
    query = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"
    with socket.create_connection(("127.0.0.1", daemon.ports["query"]), 30) as raw:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nX-ClickHouse-Key: {ONE}\r\nContent-Length: {len(query)}\r\n\r\n"
        raw.sendall(head.encode() + query.encode())
        wait_until(lambda: daemon.metric("spanmeter_query_running") == 1, 10, "the query")
    wait_until(lambda: daemon.metric("spanmeter_query_running") == 0, 10, "its end")


def test_a_query_is_killed_by_its_id_and_its_owner(daemon: Daemon) -> None:
    query = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"
    with socket.create_connection(("127.0.0.1", daemon.ports["query"]), 30) as raw:
        head = (
            f"POST /?query_id=long HTTP/1.1\r\nHost: x\r\nX-ClickHouse-Key: {ONE}\r\nContent-Length: {len(query)}\r\n"
        )
        raw.sendall(head.encode() + b"\r\n" + query.encode())
        wait_until(lambda: daemon.metric("spanmeter_query_running") == 1, 10, "the query")
        assert value(daemon, "KILL QUERY WHERE query_id = 'long'", TWO) == "", "it is not theirs"
        assert value(daemon, "KILL QUERY WHERE query_id = 'long'").startswith("waiting\tlong")
        assert b"x-clickhouse-exception-code: 394" in raw.recv(65536)


def test_a_kill_waits_for_no_other_query(tmp_path: Path) -> None:
    settings = ["query.max_concurrent_queries=1", "query.queue_timeout=0s"]
    query = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"
    with running(tmp_path / "data", settings) as daemon, ThreadPoolExecutor(1) as threads:
        long = threads.submit(ask, daemon, query, None, query_id="long")
        wait_until(lambda: daemon.metric("spanmeter_query_running") == 1, 10, "the query")
        assert ask(daemon, "SELECT 1", None).code == 202
        assert value(daemon, "KILL QUERY WHERE query_id = 'long'", None).startswith("waiting\tlong")
        assert long.result().code == 394


def test_a_query_has_so_long(tmp_path: Path) -> None:
    with running(tmp_path / "data", ["query.max_execution_time=500ms", "query.max_concurrent_queries=1"]) as daemon:
        slow = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"
        response = ask(daemon, slow, None)
        assert (response.code, response.status) == (159, 408)
        assert ask(daemon, slow, None, max_execution_time="0").code == 159
        assert ask(daemon, "SELECT 1", None, headers=basic("default", "")).text == "1\n"
        assert ask(daemon, "SELECT 1", None, headers=basic("default", "x")).code == 516
        assert ask(daemon, "SELECT 1", None, headers={"Host": "evil.example:80"}).code == 516
