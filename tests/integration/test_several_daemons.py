"""Several daemons on one store, which a third one's write door stands in for: one history, one spend, each event once."""

import json
import time
from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import pytest
import yaml

from tests.support.calls import OVERRIDES, Call, request
from tests.support.clickhouse_server import ClickHouseProcess
from tests.support.daemon import Daemon
from tests.support.waiting import wait_until
from tests.support.webhooks import SECRET, Receiver, receiver
from tests.support.wire import post, succeeded


class Lab:
    """Two daemons that were started at once on an empty store, and whoever receives their webhooks."""

    def __init__(self, daemons: tuple[Daemon, Daemon], server: ClickHouseProcess, hooks: Receiver) -> None:
        self.daemons, self.hooks = daemons, hooks
        self._client = clickhouse_connect.get_client(dsn=server.url, database="otel", autogenerate_session_id=False)

    def send(self, daemon: Daemon, *calls: Call) -> None:
        succeeded(post(daemon.ports["http"], request(calls)))

    def value(self, question: str) -> Any:
        return self._client.query(question).first_row[0]

    def close(self) -> None:
        self._client.close()


def settings(hooks: Receiver) -> str:
    """A budget of a dollar, which is a million tokens of the small model."""
    budget = {"name": "all", "limit_usd": 1, "period": "month", "warn_at": [0.5], "webhooks": ["ops"]}
    return yaml.safe_dump(
        {
            "pricing": {"overrides": OVERRIDES},
            "budgets": [budget],
            "webhooks": {"ops": {"url": hooks.url, "secret": SECRET, "allow_private": True}},
            "ledger": {"reconcile_interval": "1s"},
        }
    )


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("several")
    server = ClickHouseProcess(directory / "clickhouse")
    server.start()
    with receiver() as hooks:
        config = directory / "config.yaml"
        config.write_text(settings(hooks))
        store = (f"store.url={server.url}", "spool.flush_interval=100ms")
        first, second = daemons = tuple(Daemon(directory / name, *store, config=config) for name in ("first", "second"))
        try:
            for daemon in daemons:
                daemon.start()
            for daemon in daemons:
                daemon.wait_until_ready()
            made = Lab((first, second), server, hooks)
            yield made
            made.close()
            assert [daemon.stop() for daemon in daemons] == [0, 0], first.log_tail() + second.log_tail()
        finally:
            for daemon in daemons:
                daemon.kill()
            server.kill()


def spent(daemon: Daemon) -> str:
    status, body = daemon.get("/api/v1/budgets/all")
    assert status == 200, body
    return str(json.loads(body)["budget"]["spend"])


def test_both_migrated_an_empty_store_at_once(lab: Lab) -> None:
    assert lab.value("SELECT uniqExact(Version) = count() FROM schema_migrations")


def test_a_run_is_whole_whichever_daemon_is_asked(lab: Lab) -> None:
    first, second = lab.daemons
    now = time.time_ns()
    lab.send(first, Call(1, 1, now, 1000), Call(1, 2, now + 1, 1000))
    lab.send(second, Call(1, 3, now + 2, 1000))
    for daemon in lab.daemons:
        assert len(daemon.trace((1).to_bytes(16, "big"), 3)) == 3


def test_what_is_sent_to_both_counts_once(lab: Lab) -> None:
    call = Call(2, 1, time.time_ns(), 1000)
    for daemon in lab.daemons:
        lab.send(daemon, call)
    wait_until(lambda: lab.value(f"SELECT count() FROM otel_traces WHERE TraceId = '{call.trace_id}'") == 2, 30, "both")
    assert lab.value(f"SELECT count() FROM calls WHERE TraceId = '{call.trace_id}'") == 1


def test_spend_of_one_is_known_to_the_other_and_events_are_told_once(lab: Lab) -> None:
    first, second = lab.daemons
    now = time.time_ns()
    lab.send(first, Call(3, 1, now, 400_000))
    lab.send(second, Call(4, 1, now, 700_000))
    wait_until(lambda: {spent(first), spent(second)} == {"1.104000000000"}, 30, "the spend of both")
    wait_until(lambda: lab.value("SELECT uniqExact(Id) FROM budget_events") >= 2, 30, "copies of both events")
    told = {(json.loads(one.body)["type"], one.id) for one in lab.hooks.wait(2)}
    assert sorted(kind for kind, _ in told) == ["budget.breached", "budget.threshold_reached"]
    assert lab.value("SELECT count() FROM budget_history") == lab.value("SELECT uniqExact(Id) FROM budget_events")


def test_a_daemon_that_stops_leaves_the_other_at_work(lab: Lab) -> None:
    first, second = lab.daemons
    assert first.stop() == 0, first.log_tail()
    lab.send(second, Call(5, 1, time.time_ns(), 1000))
    assert second.trace((5).to_bytes(16, "big"))
    first.start()
    first.wait_until_ready()
    assert first.trace((5).to_bytes(16, "big"))
