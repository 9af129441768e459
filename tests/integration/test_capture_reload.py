"""Capture settings with several receiver processes, taken again on SIGHUP; mistakes leave those in force."""

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector.config import Config
from tests.support.daemon import Daemon, running
from tests.support.otlp import request, span, trace_id
from tests.support.waiting import wait_until
from tests.support.wire import PROTOBUF, post, succeeded


def policy_of(daemon: Daemon) -> tuple[str, str]:
    trace = trace_id()
    message = request(span({"my.own": "jane@example.com"}, trace_id=trace))
    succeeded(post(daemon.ports["http"], message.SerializeToString(), PROTOBUF))
    (row,) = daemon.trace(trace)
    return row["CapturePolicy"], dict(row["SpanAttributes"]).get("my.own", "")


@pytest.mark.slow
def test_processes_take_new_settings(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"

    def write(capture: dict[str, Any]) -> None:
        config.write_text(yaml.safe_dump({"processes": 2, "query": {"enabled": False}, "capture": capture}))

    write({"default": "metadata"})
    with running(tmp_path / "data", config=config) as daemon:
        assert {policy_of(daemon) for _ in range(4)} == {("metadata", "")}
        write({"redact": [{"name": "x", "pattern": "(a"}]})
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "is no regular expression of RE2" in daemon.log(), 20, "the mistake is told")
        assert policy_of(daemon) == ("metadata", "")
        write({"redact": [{"builtin": "email"}]})
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: policy_of(daemon) == ("full", "[redacted:email]"), 20, "a process has the new settings")
        wait_until(lambda: daemon.metric("spanmeter_capture_redactions_total", rule="email") > 0, 20, "it is counted")


def test_what_budgets_name_is_kept() -> None:
    budget = {"name": "b", "limit_usd": 1, "period": "day", "match": {"attribute.team": "a"}, "per": ["agent"]}
    config = Config.model_validate({"capture": {"keep": ["own"]}, "budgets": [budget]})
    assert config.captured.keep == ("own", "team", "@name")
