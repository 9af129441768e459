"""Rows made of logs that the store refuses: set aside alone, counted, and stored when replayed."""

from pathlib import Path
from typing import Any

import pytest

from collector.errors import Reason
from collector.spool import DeadLetter
from collector.store import Store
from tests.support.sessions import Daemon, requests

ALLOW = "ALTER TABLE otel_traces DROP CONSTRAINT none_of_these"


def refuse(store: Store, rows: str) -> None:
    store.command(f"ALTER TABLE otel_traces ADD CONSTRAINT none_of_these CHECK NOT ({rows})")


def said(store: Store) -> list[dict[str, Any]]:
    columns = "SpanId, ParentSpanId, SpanName, ScopeName, StatusCode, SpanAttributes, Duration, Input, Output, Cost"
    return store.query(f"SELECT {columns} FROM otel_traces FINAL ORDER BY SpanId", {}).to_pylist()  # type: ignore[no-any-return]


def set_aside(daemon: Daemon) -> float | None:
    return daemon.metrics.registry.get_sample_value(
        "spanmeter_drain_dead_lettered_spans_total", {"reason": Reason.POISON.value}
    )


@pytest.fixture
def deadletter(tmp_path: Path) -> DeadLetter:
    return DeadLetter(tmp_path / "deadletter", 10_000_000)


@pytest.mark.parametrize("refused", ["Operation = 'chat'", "Operation = 'execute_tool' AND ToolName = 'Bash'"])
def test_derived_rows_that_are_refused_are_stored_when_they_are_replayed(
    store: Store, deadletter: DeadLetter, refused: str
) -> None:
    daemon = Daemon(store, deadletter=deadletter)
    session = requests("claude-code-2.1-logs")
    daemon.deliver(session)
    expected = said(store)
    chosen = store.query(f"SELECT count() FROM otel_traces FINAL WHERE {refused}", {}).column(0)[0].as_py()
    store.command("TRUNCATE TABLE otel_traces")
    store.command("TRUNCATE TABLE otel_logs")
    daemon.restart()

    refuse(store, refused)
    daemon.deliver(session)
    assert 0 < chosen < len(expected)
    assert len(said(store)) == len(expected) - chosen
    assert set_aside(daemon) == chosen == deadletter.statistics().entries
    daemon.restart()
    daemon.deliver(session)  # after a crash
    assert deadletter.statistics().entries == chosen

    store.command(ALLOW)
    daemon.deliver([entry.envelope for entry in deadletter.entries() if entry.envelope])
    assert said(store) == expected
