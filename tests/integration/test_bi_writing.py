"""The write door: closed unless it is asked for, and then open to one scope alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from collector.config import QueryConfig
from collector.model.principal import ANONYMOUS, Principal, Scope
from tests.support.bi import ADMIN, ONE, WRITER, ask, bi_daemon, value
from tests.support.daemon import Daemon

WRITES = ["CREATE TABLE otel.x (a Int8) ENGINE = Memory", "DROP DATABASE otel", "SELECT file('/etc/passwd')"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("bi"), "query.write_door=true") as daemon:
        yield daemon


@pytest.mark.parametrize("token", [ONE, ADMIN])
@pytest.mark.parametrize("query", WRITES)
def test_readers_and_administrators_do_not_write(daemon: Daemon, token: str, query: str) -> None:
    assert ask(daemon, query, token).code in (164, 497)


def test_the_door_is_closed_by_default(tmp_path: Path) -> None:
    with bi_daemon(tmp_path) as daemon:
        for query in WRITES:
            assert ask(daemon, query, WRITER).code in (164, 497)
        assert value(daemon, "SELECT count() FROM calls", WRITER) == "48"


def test_who_may_write() -> None:
    assert not ANONYMOUS.may(Scope.QUERY_WRITE)
    assert not Principal("root", "one", frozenset({Scope.ADMIN})).may(Scope.QUERY_WRITE)
    assert Principal("test", "one", frozenset({Scope.QUERY_WRITE})).may(Scope.QUERY_WRITE)


def test_other_machines_cannot_reach_it() -> None:
    assert QueryConfig(write_door=True).write_door
    with pytest.raises(ValueError, match="other machines can reach"):
        QueryConfig(write_door=True, endpoint="0.0.0.0:8123")


def test_a_client_writes_and_reads_as_on_a_server(daemon: Daemon) -> None:
    client = clickhouse_connect.get_client(
        host="127.0.0.1", port=daemon.ports["query"], password=WRITER, autogenerate_session_id=False
    )
    client.command("CREATE DATABASE IF NOT EXISTS tests")
    client.command("CREATE TABLE tests.t (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
    client.insert("tests.t", [[1, "x"], [2, "y\n'"]], column_names=["a", "b"])
    client.command("INSERT INTO tests.t VALUES (3, 'z')")
    client.raw_insert("tests.t", ["a", "b"], b"4\tw\n", fmt="TabSeparated")
    assert client.query("SELECT * FROM tests.t ORDER BY a").result_rows == [(1, "x"), (2, "y\n'"), (3, "z"), (4, "w")]
    assert client.query_df("SELECT a FROM tests.t WHERE b = {b:String}", parameters={"b": "y\n'"}).a.tolist() == [2]
    client.command("DROP DATABASE tests")
    client.close()


def test_its_errors_are_those_of_a_server(daemon: Daemon) -> None:
    assert ask(daemon, "SELECT 1", WRITER, database="nosuch").code == 81
    assert ask(daemon, "SELECT * FROM nosuch", WRITER).code == 60
    assert ask(daemon, "SELECT 1", WRITER, nosuch="1").code == 115
    odd: dict[str, Any] = {"a b": "1"}
    assert ask(daemon, "SELECT 1", WRITER, **odd).code == 115
    assert ask(daemon, "SELEC 1", WRITER).code == 62
