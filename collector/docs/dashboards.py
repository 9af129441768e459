"""Dashboards for Grafana, in deploy/grafana/dashboards: SQL of schema/dashboards, and PromQL beside it.

Spend, budgets, latency and coding agents are asked of the ClickHouse data source, ingest health of Prometheus.
"""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_uppercase
from typing import Any, Final

from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders.dashboard import Dashboard, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from collector.schema import statement

# As deploy/grafana/provisioning names them.
CLICKHOUSE: Final = DataSourceRef("grafana-clickhouse-datasource", "spanmeter")
PROMETHEUS: Final = DataSourceRef("prometheus", "spanmeter-prometheus")

AnyPanel = timeseries.Panel | table.Panel | stat.Panel


class Shape(StrEnum):
    """How a panel shows what was found."""

    LINES = "timeseries"
    TABLE = "table"
    NUMBER = "stat"


_BUILDERS: Final[dict[Shape, type[AnyPanel]]] = {
    Shape.LINES: timeseries.Panel,
    Shape.TABLE: table.Panel,
    Shape.NUMBER: stat.Panel,
}
_WIDTHS: Final = {Shape.LINES: 12, Shape.TABLE: 12, Shape.NUMBER: 6}


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `query` is a file of schema/dashboards, or, in a panel of Prometheus, PromQL by legend."""

    title: str
    shape: Shape
    query: str | dict[str, str]
    unit: str = "short"
    width: int = 0

    @property
    def sql(self) -> str:
        assert isinstance(self.query, str)
        return statement("dashboards", self.query)


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard; panels by the titles of their rows."""

    uid: str
    title: str
    rows: dict[str, Sequence[Panel]]

    @property
    def panels(self) -> Sequence[Panel]:
        return [panel for row in self.rows.values() for panel in row]


_USD: Final = "currencyUSD"

BOARDS: Final = (
    Board(
        "spanmeter-spend",
        "spanmeter: spend",
        {
            "Totals": [
                Panel("Spend", Shape.NUMBER, "spend_total", _USD),
                Panel("Calls without a price", Shape.NUMBER, "unpriced_total"),
            ],
            "By what": [
                Panel("Spend by model", Shape.LINES, "spend_by_model", _USD),
                Panel("Tokens", Shape.LINES, "tokens_by_kind"),
                Panel("Spend by feature", Shape.TABLE, "spend_by_feature"),
                Panel("Dearest runs", Shape.TABLE, "dearest_runs"),
            ],
        },
    ),
    Board(
        "spanmeter-budgets",
        "spanmeter: budgets",
        {
            "Budgets": [
                Panel("Breaches", Shape.NUMBER, "breaches"),
                Panel("Fraction of the limit, at each event", Shape.LINES, "budget_spend", "percentunit", 18),
                Panel("Events", Shape.TABLE, "budget_events", width=24),
            ],
        },
    ),
    Board(
        "spanmeter-latency",
        "spanmeter: latency and errors",
        {
            "Calls of models": [
                Panel("Latency", Shape.LINES, "call_latency", "s"),
                Panel("Failed calls", Shape.LINES, "errors_by_model"),
            ],
            "By what": [
                Panel("Models", Shape.TABLE, "latency_by_model"),
                Panel("Tools", Shape.TABLE, "latency_by_tool"),
                Panel("Agents", Shape.TABLE, "runs_by_agent", width=24),
            ],
        },
    ),
    Board(
        "spanmeter-coding-agents",
        "spanmeter: coding agents",
        {
            "Coding agents": [
                Panel("Spend", Shape.LINES, "coding_spend", _USD),
                Panel("Read from caches", Shape.TABLE, "coding_cache"),
                Panel("People", Shape.TABLE, "coding_users"),
                Panel("Tools", Shape.TABLE, "coding_tools"),
            ],
        },
    ),
    Board(
        "spanmeter-ingest",
        "spanmeter: ingest health",
        {
            "In": [
                Panel(
                    "Accepted",
                    Shape.LINES,
                    {
                        "spans": "sum(rate(spanmeter_receiver_accepted_spans_total[$__rate_interval]))",
                        "log records": "sum(rate(spanmeter_receiver_accepted_log_records_total[$__rate_interval]))",
                        "metric points": "sum(rate(spanmeter_receiver_accepted_metric_points_total[$__rate_interval]))",
                    },
                ),
                Panel(
                    "Refused or failed",
                    Shape.LINES,
                    {
                        "refused: {{reason}}": (
                            "sum by (reason) (rate(spanmeter_receiver_refused_requests_total[$__rate_interval]))"
                        ),
                        "failed: {{reason}}": (
                            "sum by (reason) (rate(spanmeter_receiver_failed_spans_total[$__rate_interval]))"
                        ),
                    },
                ),
            ],
            "Spool and drain": [
                Panel(
                    "Spool, of its capacity",
                    Shape.LINES,
                    {
                        "{{instance}}": "sum by (instance) (spanmeter_spool_bytes)"
                        " / sum by (instance) (spanmeter_spool_capacity_bytes)"
                    },
                    "percentunit",
                ),
                Panel("Lag", Shape.LINES, {"{{instance}}": "spanmeter_drain_lag_seconds"}, "s"),
                Panel(
                    "Time of an insert, p95",
                    Shape.LINES,
                    {
                        "p95": "histogram_quantile(0.95,"
                        " sum by (le) (rate(spanmeter_store_insert_seconds_bucket[$__rate_interval])))"
                    },
                    "s",
                ),
                Panel("Dead letter", Shape.LINES, {"{{instance}}": "spanmeter_dead_letter_entries"}),
            ],
            "Money and webhooks": [
                Panel(
                    "Calls without a price",
                    Shape.LINES,
                    {"{{model}}": "sum by (model) (increase(spanmeter_unpriced_calls_total[$__rate_interval]))"},
                ),
                Panel(
                    "Webhooks",
                    Shape.LINES,
                    {
                        "{{endpoint}} {{outcome}}": "sum by (endpoint, outcome)"
                        " (rate(spanmeter_webhook_attempts_total[$__rate_interval]))"
                    },
                ),
                Panel(
                    "Checks",
                    Shape.LINES,
                    {
                        "allowed": "sum(rate(spanmeter_budget_checks_allowed_total[$__rate_interval]))",
                        "refused": "sum(rate(spanmeter_budget_checks_refused_total[$__rate_interval]))",
                        "degraded": "sum(rate(spanmeter_budget_checks_degraded_total[$__rate_interval]))",
                    },
                ),
                Panel(
                    "Leases open, deliveries pending",
                    Shape.LINES,
                    {"leases": "sum(spanmeter_leases_open)", "deliveries": "sum(spanmeter_webhooks_pending)"},
                ),
            ],
        },
    ),
)


class _SqlQuery(Dataquery):
    """A query as Grafana's ClickHouse data source stores it."""

    def __init__(self, sql: str, shape: Shape) -> None:
        self._sql = sql
        self._lines = shape is Shape.LINES

    def to_json(self) -> dict[str, Any]:
        return {
            "datasource": CLICKHOUSE.to_json(),
            "editorType": "sql",
            "rawSql": self._sql.strip(),
            "queryType": "timeseries" if self._lines else "table",
            "format": 0 if self._lines else 1,
            "refId": "A",
        }


class _Sql(Builder[Dataquery]):
    def __init__(self, panel: Panel) -> None:
        self._query = _SqlQuery(panel.sql, panel.shape)

    def build(self) -> Dataquery:
        return self._query


def render_dashboard(board: Board) -> str:
    """The JSON that Grafana imports or provisions."""
    dashboard = Dashboard(board.title).uid(board.uid).tags(["spanmeter"]).time("now-24h", "now").timezone("utc")
    dashboard = dashboard.refresh("1m").editable()
    numbers = itertools.count(1)
    for title, panels in board.rows.items():
        dashboard = dashboard.with_row(Row(title).id(next(numbers)))
        for panel in panels:
            dashboard = dashboard.with_panel(_panel(panel, next(numbers)))
    return json.dumps(dashboard.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def _panel(panel: Panel, number: int) -> AnyPanel:
    width = panel.width or _WIDTHS[panel.shape]
    built = _BUILDERS[panel.shape]().title(panel.title).id(number).unit(panel.unit).span(width).height(8)
    if isinstance(panel.query, str):
        return built.datasource(CLICKHOUSE).with_target(_Sql(panel))
    built = built.datasource(PROMETHEUS)
    for letter, (legend, expression) in zip(ascii_uppercase, panel.query.items(), strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter)
        built = built.with_target(query.datasource(PROMETHEUS))
    return built
