"""The dashboards for Grafana are valid, and their SQL answers at the ClickHouse interface."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from collector.docs.dashboards import BOARDS, CLICKHOUSE, PROMETHEUS, Board, Panel, render_dashboard
from collector.schema import schema_root
from tests.support.bi import ADMIN, ONE, bi_daemon, calls_of, rows, send
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
SQL = [panel for board in BOARDS for panel in board.panels if isinstance(panel.query, str)]
BUDGETS = [{"name": "small", "limit_usd": "0.01", "period": "month", "match": {"project": "one"}}]


def expanded(sql: str) -> str:
    """The macros of Grafana's ClickHouse data source as it expands them, for the last two days by the hour."""
    now = "toUnixTimestamp(now())"
    in_time = rf"\1 >= toDateTime({now} - 172800) AND \1 <= toDateTime({now})"
    sql = re.sub(r"\$__timeFilter\((\w+)\)", in_time, sql)
    return re.sub(r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)", sql)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with bi_daemon(tmp_path_factory.mktemp("boards"), budgets=BUDGETS) as daemon:
        send(daemon, calls_of("claude-code", 5000), ONE)
        wait_until(lambda: bool(rows(daemon, "SELECT 1 FROM calls WHERE ServiceName = 'claude-code'")), 30, "calls")
        wait_until(lambda: bool(rows(daemon, "SELECT 1 FROM budget_history", ADMIN)), 30, "an event of a budget")
        yield daemon


@pytest.mark.parametrize("panel", SQL, ids=lambda panel: panel.query)
def test_a_panel_has_something_to_show(daemon: Daemon, panel: Panel) -> None:
    sql = expanded(panel.sql)
    assert "$__" not in sql
    found = rows(daemon, sql, ADMIN)
    may_be_empty = panel.query == "errors_by_model"  # no call of these fails
    assert found or may_be_empty
    if found and panel.shape == "timeseries":
        assert "time" in found[0]


def test_every_query_is_shown() -> None:
    assert {path.stem for path in (schema_root() / "dashboards").glob("*.sql")} == {panel.query for panel in SQL}


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.uid)
def test_a_dashboard_is_one_for_grafana(board: Board) -> None:
    """As its schema has it: what the types of the schema read of it is all of it."""
    document = json.loads(render_dashboard(board))
    read = json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))
    for panel in (*document["panels"], *read["panels"]):
        for target in panel.pop("targets", []):
            assert target["datasource"] in (CLICKHOUSE.to_json(), PROMETHEUS.to_json())
    assert read == document
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))
    assert document["uid"] == board.uid


def test_the_data_sources_are_those_that_dashboards_ask() -> None:
    text = (GRAFANA / "provisioning" / "datasources" / "spanmeter.yaml").read_text(encoding="utf-8")
    sources = {source["uid"]: source for source in yaml.safe_load(text)["datasources"]}
    assert {uid: source["type"] for uid, source in sources.items()} == {
        CLICKHOUSE.uid: CLICKHOUSE.type_val,
        PROMETHEUS.uid: PROMETHEUS.type_val,
    }
    settings = sources[str(CLICKHOUSE.uid)]["jsonData"]
    assert settings["traces"]["otelEnabled"]
    assert settings["logs"]["otelEnabled"]
