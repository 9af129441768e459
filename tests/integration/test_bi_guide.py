"""docs/bi.md says what is so: its queries run, and the columns are described."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bi import ADMIN, ONE, bi_daemon, rows, value
from tests.support.daemon import Daemon

GUIDE = (Path(__file__).parents[2] / "docs" / "bi.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
VIEWS = ("calls", "runs", "rounds", "tool_calls", "spend_daily", "spend_hourly", "budget_history")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("bi")) as daemon:
        yield daemon


def test_there_are_thirteen_examples() -> None:
    assert len(QUERIES) == 13


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.splitlines()[0][:40])
def test_an_example_runs(daemon: Daemon, query: str) -> None:
    found = rows(daemon, query, ADMIN)
    may_be_empty = "budget_history" in query or "IsUnpriced" in query
    assert found or may_be_empty, query


@pytest.mark.parametrize("view", VIEWS)
def test_every_column_is_described(daemon: Daemon, view: str) -> None:
    lacking = f"SELECT name FROM system.columns WHERE table = '{view}' AND comment = ''"
    assert value(daemon, lacking) == ""
    assert value(daemon, f"SELECT comment != '' FROM system.tables WHERE name = '{view}'") == "1"


def test_views_agree(daemon: Daemon) -> None:
    assert value(daemon, "SELECT sum(Cost) FROM calls") == "0.144"
    assert value(daemon, "SELECT sum(Cost), sum(Calls) FROM spend_daily") == "0.144\t48"
    assert value(daemon, "SELECT sum(Cost), count() FROM spend_hourly") == "0.144\t48"
    assert value(daemon, "SELECT sum(Cost), sum(LlmCalls), sum(ToolCalls) FROM runs") == "0.144\t48\t24"
    assert value(daemon, "SELECT sum(Cost), count(), sum(ToolCalls) FROM rounds") == "0.144\t48\t24"
    assert value(daemon, "SELECT groupUniqArray(Tools) FROM rounds WHERE Round = 1") == "[['search']]"
    assert value(daemon, "SELECT groupUniqArray(ToolCalls) FROM rounds WHERE Round = 2") == "[0]"
    assert value(daemon, "SELECT count(), any(ToolName) FROM tool_calls") == "24\tsearch"


def test_a_time_is_looked_for_where_it_is(daemon: Daemon) -> None:
    hours = "SELECT count() FROM spend_hourly WHERE Hour >= toStartOfHour(now()) - INTERVAL 3 HOUR"
    assert value(daemon, hours) == "6"
    assert value(daemon, "SELECT count() FROM calls WHERE Timestamp >= now() - INTERVAL 40 DAY") == "48"
    assert value(daemon, "SELECT timezone()") == "UTC"


def test_budgets_are_shown_to_administrators(daemon: Daemon) -> None:
    assert value(daemon, "SELECT count() FROM budget_history", ADMIN) == "0"
    assert value(daemon, "SELECT count() FROM budget_history", ONE) == "0"
