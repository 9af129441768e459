"""Several receiver processes on the same ports: what any of them acknowledged is stored once, whoever dies."""

import random
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.admit.auth import mint
from tests.support.daemon import Daemon
from tests.support.engine import prepare_store, stored_by_trace
from tests.support.exporters import Exporter, acknowledged_by, finish, retries, sending
from tests.support.spans import request
from tests.support.tally import Tally, tally
from tests.support.waiting import wait_until

FAST = "spool.flush_interval=150ms"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """Two receiver processes; the tables exist and keep every row as it was inserted."""
    made = Daemon(tmp_path / "data", FAST, "processes=2", keeps_ports=True)
    prepare_store(made.directory / "store")
    yield made
    kill_all(made)


def workers(daemon: Daemon) -> list[psutil.Process]:
    return [child for child in psutil.Process(daemon.process.pid).children() if child.cmdline()[-1:] == ["worker"]]


def kill_all(daemon: Daemon) -> None:
    """SIGKILL to the daemon and its workers at once."""
    children = workers(daemon) if daemon.process.poll() is None else []
    for process in children:
        process.kill()
    daemon.kill()
    for process in children:
        process.wait(30)


def accepted(daemon: Daemon) -> set[tuple[str, str]]:
    """The workers that have acknowledged spans, each with the transports it did so on."""
    families = text_string_to_metric_families(daemon.get("/metrics")[1].decode())
    return {
        (sample.labels["worker"], sample.labels["transport"])
        for family in families
        for sample in family.samples
        if sample.name == "spanmeter_receiver_accepted_spans_total" and sample.value
    }


def all_stored(daemon: Daemon, senders: list[Exporter]) -> Tally:
    """Let everything be acknowledged and stored, and count."""
    finish(senders)
    assert daemon.stop() == 0, daemon.log_tail()
    assert segments(daemon) == []
    return tally(acknowledged_by(senders), *stored_by_trace(daemon.directory / "store"))


def segments(daemon: Daemon) -> list[Path]:
    """What is spooled, in whichever folder."""
    return list((daemon.directory / "spool").rglob("*.seg"))


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_both_receive_and_a_stop_under_load_leaves_nothing(daemon: Daemon, say: Callable[[str], None]) -> None:
    daemon.start()
    daemon.wait_until_ready()
    senders = sending(daemon.ports, 32, pause=0.02)
    every = {(worker, transport) for worker in "01" for transport in ("grpc", "http")}
    wait_until(lambda: accepted(daemon) == every, 60, "spans at both workers on both ports")
    assert daemon.metric("spanmeter_workers_accepting") == 2
    assert daemon.stop() == 0, daemon.log_tail()
    assert segments(daemon) == []
    daemon.start()
    daemon.wait_until_ready()
    result = all_stored(daemon, senders)
    say(f"two receiver processes, stopped once under load: {result}")
    result.assert_exact()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_workers_killed_under_load(daemon: Daemon, say: Callable[[str], None]) -> None:
    moments = random.Random()
    daemon.start()
    daemon.wait_until_ready()
    senders = sending(daemon.ports, 6, pause=0.01)
    for number in range(3):
        time.sleep(moments.uniform(0.3, 1.5))
        moments.choice(workers(daemon)).kill()
        wait_until(lambda number=number: daemon.metric("spanmeter_worker_restarts_total") > number, 30, "a restart")  # type: ignore[misc]
        daemon.wait_until_ready()
    result = all_stored(daemon, senders)
    say(f"3 SIGKILLs of a worker, {retries(senders)} retried sends: {result}")
    result.assert_exact(raw=False)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_daemon_killed_under_load(daemon: Daemon, say: Callable[[str], None]) -> None:
    """Its workers end by themselves, and the next daemon takes their ports and what they have spooled."""
    moments = random.Random()
    daemon.start()
    senders = sending(daemon.ports, 6, pause=0.01)
    for _ in range(3):
        daemon.wait_for_ports()
        time.sleep(moments.uniform(0.3, 2.5))
        daemon.kill()
        daemon.start()
    daemon.wait_until_ready()
    result = all_stored(daemon, senders)
    say(f"3 SIGKILLs of the daemon, {retries(senders)} retried sends: {result}")
    result.assert_exact(raw=False)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_fewer_processes_take_up_what_more_have_left(daemon: Daemon) -> None:
    daemon.settings += ["processes=3", "store.url=http://127.0.0.1:9"]
    daemon.start()
    daemon.wait_for_ports()
    senders = sending(daemon.ports, 32, pause=0.02)
    wait_until(lambda: daemon.metric("spanmeter_workers_accepting") == 3, 30, "three workers")
    folders = {daemon.directory / "spool" / f"worker-{number}" for number in range(3)}
    wait_until(lambda: folders <= {path.parent for path in segments(daemon)}, 60, "a segment in each worker's folder")
    kill_all(daemon)
    daemon.settings += ["processes=1", "store.url=chdb://"]
    daemon.start()
    daemon.wait_until_ready()
    result = all_stored(daemon, senders)
    result.assert_exact(raw=False)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_limit_of_the_spool_is_for_all_together(daemon: Daemon) -> None:
    limit = 4 * 1024 * 1024
    daemon.settings += ["store.url=http://127.0.0.1:9", f"spool.max_bytes={limit}", "spool.segment_max_bytes=256KiB"]
    daemon.start()
    daemon.wait_for_ports()
    senders = sending(daemon.ports, 8)
    wait_until(lambda: all(sender.retries > 3 for sender in senders), 60, "refusals")
    # What another one has written is seen a tenth of a second later.
    assert limit * 0.9 < sum(path.stat().st_size for path in segments(daemon)) < limit * 2
    assert daemon.metric("spanmeter_spool_bytes") == sum(path.stat().st_size for path in segments(daemon))
    daemon.settings += ["store.url=chdb://"]
    assert daemon.stop() == 0, daemon.log_tail()
    daemon.start()
    daemon.wait_until_ready()
    result = all_stored(daemon, senders)
    assert result.lost == 0
    assert result.stored == result.acknowledged


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_tokens_are_reloaded_in_every_worker(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    first, first_digest = mint()
    second, second_digest = mint()
    settings.write_text(f"processes: 2\nauth:\n  tokens:\n    - {{name: one, sha256: {first_digest}}}\n")
    daemon = Daemon(tmp_path / "data", FAST, config=settings)

    def answer(token: str) -> int:
        """Of one of the workers: each request is a connection of its own."""
        body = request(random.getrandbits(100), ["span"])
        headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {token}"}
        sent = urllib.request.Request(f"{daemon.http}/v1/traces", body, headers)
        try:
            with urllib.request.urlopen(sent, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    daemon.start()
    try:
        daemon.wait_for_ports()
        assert {answer(first) for _ in range(20)} == {200}
        assert {answer(second) for _ in range(20)} == {401}
        settings.write_text(settings.read_text().replace(first_digest, second_digest))
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: {answer(second) for _ in range(20)} == {200}, 30, "the new token everywhere")
        assert {answer(first) for _ in range(20)} == {401}
        workers(daemon)[0].kill()
        wait_until(lambda: daemon.metric("spanmeter_worker_restarts_total") == 1, 30, "a restart")
        wait_until(lambda: daemon.metric("spanmeter_workers_accepting") == 2, 30, "both workers")
        assert {answer(second) for _ in range(20)} == {200}
        assert daemon.stop() == 0, daemon.log_tail()
    finally:
        kill_all(daemon)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_workers_are_told_no_secret_and_start_whatever_the_budgets_need(tmp_path: Path) -> None:
    """A year fits the store's ttl, which workers do not know either; the log has a mistake made on reload, too."""
    secret = "correct-horse-battery"
    settings = tmp_path / "settings.yaml"
    settings.write_text(
        f"processes: 2\nstore: {{ttl: 400d}}\nwebhooks:\n  ops: {{url: 'https://hooks.example.com', secret: {secret}}}\n"
        "budgets:\n  - {name: a, limit_usd: 1, period: year, webhooks: ops}\n"
    )
    daemon = Daemon(tmp_path / "data", FAST, "telemetry.log_level=debug", config=settings)
    daemon.start()
    try:
        daemon.wait_until_ready()
        wait_until(lambda: daemon.metric("spanmeter_workers_accepting") == 2, 30, "both workers")
        settings.write_text(settings.read_text().replace(f"{secret}}}", f"'{secret}}}"))
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: "is not YAML" in daemon.log_tail(), 30, "the mistake in the log")
        assert daemon.stop() == 0, daemon.log_tail()
        assert secret not in daemon.log()
    finally:
        kill_all(daemon)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_two_daemons_never_share_a_port(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    daemon.wait_for_ports()
    other = Daemon(
        tmp_path / "other", "processes=2", f"receivers.otlp.protocols.http.endpoint=127.0.0.1:{daemon.ports['http']}"
    )
    ended = subprocess.run(other.command(), capture_output=True, check=False, timeout=60)
    assert ended.returncode == 3
    assert b"Cannot listen for OTLP/http" in ended.stderr


@pytest.mark.timeout(60)
def test_what_a_worker_cannot_use_ends_the_start(tmp_path: Path) -> None:
    missing = f"receivers.otlp.protocols.http.tls.cert_file={tmp_path}/cert.pem"
    daemon = Daemon(
        tmp_path / "data", "processes=2", missing, f"receivers.otlp.protocols.http.tls.key_file={tmp_path}/key.pem"
    )
    ended = subprocess.run(daemon.command(), capture_output=True, check=False, timeout=60)
    assert ended.returncode == 3
    assert ended.stderr.decode().splitlines()[-1].startswith("spanmeter: Cannot use the TLS files")


def test_the_worker_command_is_not_for_people() -> None:
    from collector.cli import main

    assert main(["worker"]) == 3
