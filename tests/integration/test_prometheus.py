"""The alerts for Prometheus: their own tests, their metrics, and a real Prometheus that scrapes a daemon."""

import json
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from collector.docs.dashboards import BOARDS
from collector.telemetry import catalogue
from tests.support.daemon import Daemon, running
from tests.support.ports import free_ports
from tests.support.spans import request
from tests.support.waiting import wait_until
from tests.support.wire import post

RULES = Path(__file__).parents[2] / "deploy" / "prometheus"
NEEDED = pytest.mark.skipif(not shutil.which("promtool"), reason="needs Debian's package prometheus")
PROMQL = [
    query
    for board in BOARDS
    for panel in board.panels
    if isinstance(panel.query, dict)
    for query in panel.query.values()
]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / "rules.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDED
def test_the_rules_do_what_their_tests_say() -> None:
    promtool("check", "rules", "rules.yaml")
    promtool("check", "config", "prometheus.yaml")
    promtool("test", "rules", "rules.test.yaml")


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    tests = (RULES / "rules.test.yaml").read_text(encoding="utf-8")
    for rule in rules():
        assert f'alertname="{rule["alert"]}"' in tests
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert all(rule["annotations"][name].endswith(".") for name in ("summary", "description"))


@pytest.mark.parametrize("expression", [*PROMQL, *(rule["expr"] for rule in rules())])
def test_every_metric_is_one_of_ours(expression: str) -> None:
    named = set(re.findall(r"\bspanmeter_\w+", expression))
    ours = {f"{entry.name}{suffix}" for entry in catalogue.CATALOGUE for suffix in ("", "_total", "_bucket")}
    assert named <= ours


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[str, Daemon]]:
    """A Prometheus with our rules, and the daemon that it scrapes."""
    (port,) = free_ports(1)
    with running(tmp_path / "data") as daemon:
        config = yaml.safe_load((RULES / "prometheus.yaml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(RULES / "rules.yaml")]
        config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{daemon.ports['web']}"]}]
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
        command = ["prometheus", f"--config.file={tmp_path / 'prometheus.yaml'}"]
        command += [f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"]
        with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                wait_until(lambda: is_ready(port), 30, "Prometheus")
                yield f"http://127.0.0.1:{port}", daemon
            finally:
                process.terminate()


def ask(address: str, path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1/{path}?{urlencode(query)}", timeout=20) as answer:
        document = json.loads(answer.read())
    assert document["status"] == "success"
    return document["data"]


@NEEDED
def test_a_prometheus_scrapes_the_daemon(prometheus: tuple[str, Daemon]) -> None:
    address, daemon = prometheus
    post(daemon.ports["http"], request(1, ["a", "b", "c"]))

    def value(expression: str) -> float:
        found = ask(address, "query", query=expression)["result"]
        return float(found[0]["value"][1]) if found else 0.0

    wait_until(lambda: value("sum(spanmeter_receiver_accepted_spans_total)") == 3, 30, "the scrape")
    assert value('up{job="spanmeter"}') == 1
    targets = ask(address, "targets")["activeTargets"]
    assert [target["lastError"] for target in targets] == [""]
    for expression in PROMQL:
        ask(address, "query", query=expression.replace("$__rate_interval", "1m"))

    def all_evaluated() -> bool:
        return all(rule["health"] == "ok" for rule in ask(address, "rules")["groups"][0]["rules"])

    wait_until(all_evaluated, 30, "rules without errors")
    firing = {alert["labels"]["alertname"] for alert in ask(address, "alerts")["alerts"] if alert["state"] == "firing"}
    assert firing <= {"SpanmeterNotCompiled"}
