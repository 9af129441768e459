"""SIGKILL while logs and metrics come in: every acknowledged record and point is stored, and counted once."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.model.envelope import Signal
from tests.support.daemon import Daemon
from tests.support.engine import stored_by
from tests.support.exporters import acknowledged_by, acknowledgements, finish, sending
from tests.support.signals import log_request, metric_request, number, record, total
from tests.support.tally import tally
from tests.support.waiting import wait_until


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "data", "spool.flush_interval=150ms", keeps_ports=True)
    yield made
    made.kill()


def records(identity: int, items: int) -> bytes:
    """Records of one session, some of them equal but for their time."""
    now = time.time_ns()
    session = {"session.id": f"{identity:032x}", "text": "x" * 500}
    body: bytes = log_request(
        *[record(f"line {n}", session, time_unix_nano=now + n) for n in range(items)]
    ).SerializeToString()
    return body


def points(identity: int, items: int) -> bytes:
    """Points of one series."""
    now, name = time.time_ns(), f"{identity:032x}"
    made = [number(n, {"text": "x" * 500}, time_unix_nano=now + n) for n in range(items)]
    body: bytes = metric_request(total(*made, name=name)).SerializeToString()
    return body


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_acknowledged_items_survive_sigkill(daemon: Daemon, say: Callable[[str], None]) -> None:
    moments = random.Random()
    daemon.start()
    of_logs = sending(daemon.ports, 2, pause=0.01, signal=Signal.LOGS, content=records)
    of_metrics = sending(daemon.ports, 2, pause=0.01, signal=Signal.METRICS, content=points)
    senders = of_logs + of_metrics
    for _ in range(5):
        before = acknowledgements(senders)
        wait_until(lambda before=before: acknowledgements(senders) > before, 60, "an acknowledgement")  # type: ignore[misc]
        time.sleep(moments.uniform(0, 1.5))
        daemon.kill()
        daemon.start()
    daemon.wait_until_ready()
    finish(senders)
    wait_until(lambda: daemon.metric("spanmeter_spool_segments") == 0, 120, "an empty spool")
    assert daemon.stop() == 0, daemon.log_tail()
    assert list((daemon.directory / "spool").glob("*.seg")) == []
    assert list((daemon.directory / "spool" / "deadletter").iterdir()) == []
    store = daemon.directory / "store"
    logs = tally(acknowledged_by(of_logs), *stored_by(store, "otel.otel_logs", "SessionId", "Body"))
    metrics = tally(acknowledged_by(of_metrics), *stored_by(store, "otel.otel_metrics_sum", "MetricName", "TimeUnix"))
    say(f"5 SIGKILLs, log records: {logs}; metric points: {metrics}")
    logs.assert_exact(100, raw=False)
    metrics.assert_exact(100, raw=False)
