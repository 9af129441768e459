"""SIGKILL after a run was recorded over MCP: it is stored, and a call that is made again stores no second one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.mcp import called, using

RUN = {
    "name": "triage",
    "agent": "helper",
    "key": "run-7",
    "steps": [{"kind": "llm", "name": "gpt-4o", "input_tokens": 9}],
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    # Whatever is acknowledged lies in the spool when the daemon is killed.
    made = Daemon(tmp_path / "data", "spool.flush_interval=60s", "web.mcp.anonymous_record=true")
    yield made
    made.kill()


def record(daemon: Daemon) -> Any:
    return using(daemon.web, lambda client: called(client, "record_run", RUN))


@pytest.mark.long
def test_what_was_acknowledged_is_stored_once(daemon: Daemon) -> None:
    daemon.start()
    daemon.wait_until_ready()
    first = record(daemon)
    assert (first["accepted_spans"], first["message"]) == (2, None)
    daemon.kill()
    daemon.settings += ["spool.flush_interval=100ms"]
    daemon.start()
    daemon.wait_until_ready()
    assert {span["SpanName"] for span in daemon.trace(first["trace_id"], 2)} == {"triage", "gpt-4o"}
    again = record(daemon)
    assert (again["trace_id"], again["span_id"]) == (first["trace_id"], first["span_id"])
    assert len(daemon.trace(first["trace_id"], 2)) == 2
