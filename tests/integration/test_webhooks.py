"""The sender against real receivers: what arrives, when it is sent again, and where it never goes."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from collector.telemetry import Metrics
from collector.webhooks.client import Client
from collector.webhooks.endpoint import Endpoint
from collector.webhooks.outbox import Outbox
from collector.webhooks.overview import Summary
from collector.webhooks.retries import DELAYS
from collector.webhooks.sender import Sender
from tests.support.certificates import Authority
from tests.support.clock import FakeClock
from tests.support.webhooks import SECRET, Receiver, Reply, an_event, receiver


@dataclass
class Sending:
    """A sender at work on an outbox, and the time it goes by."""

    outbox: Outbox
    sender: Sender
    metrics: Metrics
    clock: FakeClock

    def record(self, *numbers: int, **changes: Any) -> None:
        assert len(self.outbox.record([an_event(number, **changes) for number in numbers])) == len(numbers)
        self.sender.wake()

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.sender.wake()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Poll what other threads write; fails the test when it does not come true."""
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - threads know no asyncio.Event
                await asyncio.sleep(0.005)

    async def ended(self, state: str, attempts: int, count: int = 1) -> list[Summary]:
        """The deliveries, once `count` of them are in this state after so many attempts."""

        def found() -> list[Summary]:
            latest = self.outbox.overview.latest(1000)
            return [one for one in latest if (one.state, one.attempts) == (state, attempts)]

        await self.until(lambda: len(found()) == count)
        return found()

    def metric(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def sending(
    directory: Path, *endpoints: Endpoint, client: Client | None = None, configure: bool = True
) -> AsyncIterator[Sending]:
    clock, client = FakeClock(time.time_ns()), client or Client()
    outbox = Outbox(directory / "webhooks.db", clock)
    metrics = Metrics(CollectorRegistry())
    sender = Sender(outbox, client, clock, metrics, chance=lambda: 0.5)
    if configure:
        await sender.configure({endpoint.name: endpoint for endpoint in endpoints})
    task = asyncio.create_task(sender.run())
    try:
        yield Sending(outbox, sender, metrics, clock)
    finally:
        sender.stop()
        await task
        client.close()
        outbox.close()


def answering(*replies: Reply) -> Callable[[Any, int], Reply]:
    """These, one after the other; then the last again."""
    return lambda _request, number: replies[min(number, len(replies) - 1)]


def resolving(answers: Mapping[str, Sequence[str]], asked: list[str] | None = None) -> Client:
    """A client for which names have these addresses."""

    async def resolve(host: str, _port: int) -> Sequence[str]:
        if asked is not None:
            asked.append(host)
        if host not in answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return answers[host]

    return Client(resolve=resolve)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_an_event_arrives_signed(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops, receiver() as slack:
            slack_endpoint = slack.endpoint("slack", template="slack", secrets=())
            async with sending(tmp_path, ops.endpoint(), slack_endpoint) as work:
                work.record(1, webhooks=("ops", "slack"))
                (got,) = await asyncio.to_thread(ops.wait, 1)
                body = got.verify()
                assert body["type"] == "budget.threshold_reached"
                assert body["data"]["spend"] == "800.120000000000"
                assert got.id == an_event(1).id
                assert got.path == "/hook"
                assert got.headers["content-type"] == "application/json"
                (message,) = await asyncio.to_thread(slack.wait, 1)
                assert "support-month" in json.loads(message.body)["text"]
                assert "webhook-signature" not in message.headers
                await work.ended("delivered", 1, count=2)
                await work.until(
                    lambda: work.metric("spanmeter_webhook_deliveries_total", endpoint="ops", outcome="delivered") == 1
                )

    run(scenario())


def test_what_fails_is_sent_again_on_the_schedule_with_the_same_id_and_bytes_and_a_new_signature(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        with receiver() as ops:
            ops.reply = answering(*(Reply(status) for status in (500, 404, 429, 503, 301, 200)))
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                for number, delay in enumerate(DELAYS[:5], 1):
                    (state,) = await work.ended("pending", number)
                    assert state.next_at == work.clock.now_ns + int(delay * 1e9)
                    await work.pass_time(delay)
                await work.ended("delivered", 6)
                got = ops.received
                assert len(got) == 6
                assert len({(one.id, one.body) for one in got}) == 1
                assert len({one.headers["webhook-timestamp"] for one in got}) == 6
                assert all(one.is_signed_by(SECRET) for one in got)
                await work.until(
                    lambda: work.metric("spanmeter_webhook_attempts_total", endpoint="ops", outcome="failed") == 5
                )

    run(scenario())


def test_it_is_given_up_after_the_schedule_and_replay_begins_anew(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops:
            ops.reply = answering(Reply(500))
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                for number, delay in enumerate(DELAYS, 1):
                    await work.ended("pending", number)
                    await work.pass_time(delay)
                await work.ended("failed", len(DELAYS) + 1)
                await work.until(
                    lambda: work.metric("spanmeter_webhook_deliveries_total", endpoint="ops", outcome="failed") == 1
                )
                await work.pass_time(7 * 86_400)
                ops.reply = answering(Reply(204, body=b""))
                assert work.outbox.deliveries.replay(failed=True) == 1
                work.sender.wake()
                await work.ended("delivered", len(DELAYS) + 2)
                assert len(ops.received) == len(DELAYS) + 2

    run(scenario())


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to(tmp_path: Path, form: str) -> None:
    async def scenario() -> None:
        with receiver() as ops:
            async with sending(tmp_path, ops.endpoint()) as work:
                at = datetime.fromtimestamp(work.clock.now_ns // 10**9, UTC) + timedelta(seconds=100)
                value = "100" if form == "seconds" else format_datetime(at, usegmt=True)
                ops.reply = answering(Reply(429, {"Retry-After": value}), Reply())
                work.record(1)
                (state,) = await work.ended("pending", 1)
                assert 99 <= (state.next_at - work.clock.now_ns) / 1e9 <= 111
                await work.pass_time(98)
                await work.until(lambda: work.metric("spanmeter_webhooks_oldest_pending_seconds") == 98)
                assert len(ops.received) == 1
                await work.pass_time(13)
                await work.ended("delivered", 2)

    run(scenario())


def test_410_disables_the_endpoint_and_only_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops, receiver() as team:
            ops.reply = answering(Reply(410), Reply())
            endpoints = {"ops": ops.endpoint(max_concurrency=1), "team": team.endpoint("team")}
            async with sending(tmp_path, *endpoints.values()) as work:
                work.record(1, 2, webhooks=("ops", "team"))
                await work.until(lambda: work.outbox.overview.statistics().held == 2)
                await asyncio.to_thread(team.wait, 2)
                work.record(3)
                await work.pass_time(86_400)
                await work.until(lambda: work.metric("spanmeter_webhooks_held") == 3)
                assert work.metric("spanmeter_webhooks_disabled_endpoints") == 1
                assert len(ops.received) == 1
                await work.sender.configure(endpoints)  # the same settings: as a reload of something else
                work.record(4, webhooks=("team",))
                await asyncio.to_thread(team.wait, 3)
                assert len(ops.received) == 1
                changed = ops.endpoint(url=ops.url + "/new")
                await work.sender.configure(endpoints | {"ops": changed})
                got = await asyncio.to_thread(ops.wait, 4)
                assert {one.id for one in got} == {an_event(number).id for number in (1, 2, 3)}
                assert [one.path for one in got[1:]] == ["/hook/new"] * 3

    run(scenario())


def test_a_redirect_is_not_followed_not_even_to_where_it_would_be_allowed(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops, receiver() as inner:
            ops.reply = answering(Reply(307, {"Location": inner.url}))
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                (state,) = await work.ended("pending", 1)
                assert "follow no redirect" in state.error
                assert inner.received == []

    run(scenario())


def test_a_slow_endpoint_delays_no_other_and_has_only_so_many_attempts_under_way(tmp_path: Path) -> None:
    async def scenario() -> None:
        let_go = threading.Event()
        with receiver() as slow, receiver() as fast:
            slow.reply = answering(Reply(hold=let_go))
            endpoints = slow.endpoint("slow", max_concurrency=2, timeout=60), fast.endpoint("fast")
            async with sending(tmp_path, *endpoints) as work:
                work.record(*range(20), webhooks=("slow", "fast"))
                await asyncio.to_thread(fast.wait, 20)
                await work.ended("delivered", 1, count=20)
                assert len(slow.received) == 2
                let_go.set()
                await asyncio.to_thread(slow.wait, 20)
                await work.ended("delivered", 1, count=40)
                assert len({one.id for one in slow.received}) == len(slow.received) == 20

    run(scenario())


def test_an_endpoint_that_does_not_answer_is_a_failure_after_its_timeout(tmp_path: Path) -> None:
    async def scenario() -> None:
        let_go = threading.Event()
        with receiver() as ops:
            ops.reply = answering(Reply(hold=let_go), Reply())
            async with sending(tmp_path, ops.endpoint(timeout=0.2)) as work:
                work.record(1)
                (state,) = await work.ended("pending", 1)
                assert state.error == f"http://127.0.0.1:{ops.port} did not answer within 0.2 s."
                let_go.set()
                await work.pass_time(5)
                await work.ended("delivered", 2)

    run(scenario())


def test_nobody_listens(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as gone:
            endpoint = gone.endpoint()
        async with sending(tmp_path, endpoint) as work:
            work.record(1)
            (state,) = await work.ended("pending", 1)
            assert state.error.startswith(f"http://127.0.0.1:{gone.port} cannot be reached: ")
            assert "Connect call failed" in state.error

    run(scenario())


@pytest.mark.parametrize(
    "answer", [b"", b"no HTTP at all\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"]
)
def test_odd_answers(tmp_path: Path, answer: bytes) -> None:
    """No answer is a failure; an answer whose body breaks off is an answer."""

    async def scenario() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            endpoint = Endpoint("ops", f"http://127.0.0.1:{port}/", (SECRET,), allow_private=True)
            async with sending(tmp_path, endpoint) as work:
                work.record(1)
                await work.ended("delivered" if b"200" in answer else "pending", 1)

    run(scenario())


def test_of_a_long_answer_the_beginning_is_read(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops:
            ops.reply = answering(Reply(500, body=b"\xffx" * 5_000_000))
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                await work.ended("pending", 1)
                (row,) = work.outbox._database._connection.execute("SELECT response FROM attempts")
                assert row["response"] == "\ufffdx" * 500

    run(scenario())


# -- where webhooks never go ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"]]
)
def test_a_name_with_a_private_address_is_not_connected_to(tmp_path: Path, addresses: list[str]) -> None:
    async def scenario() -> None:
        with receiver(host="hooks.test") as ops:
            client = resolving({"hooks.test": addresses})
            async with sending(tmp_path, ops.endpoint(allow_private=False), client=client) as work:
                work.record(1)
                (state,) = await work.ended("pending", 1)
                assert state.error.startswith("Refused to send: hooks.test is at ")
                assert ops.received == []

    run(scenario())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "2130706433", "0x7f.1", "localhost", "0", "[::ffff:127.0.0.1]"])
def test_this_machine_by_any_name_needs_leave(tmp_path: Path, host: str) -> None:
    async def scenario() -> None:
        with receiver(host=host) as ops:
            async with sending(tmp_path, ops.endpoint(allow_private=False)) as work:
                work.record(1)
                (state,) = await work.ended("pending", 1)
                assert state.error.startswith("Refused to send"), state.error
                assert ops.received == []

    run(scenario())


def test_the_connection_goes_to_the_address_that_was_checked(tmp_path: Path) -> None:
    """DNS rebinding: a name is asked for once an attempt, and nobody asks the system for it again."""

    async def scenario() -> None:
        with receiver(host="rebinding.test") as ops:
            answers: dict[str, Sequence[str]] = {"rebinding.test": ["127.0.0.1"]}
            asked: list[str] = []
            ops.reply = answering(Reply(500), Reply())
            client = resolving(answers, asked)
            async with sending(tmp_path, ops.endpoint(), client=client) as work:
                work.record(1)
                await work.ended("pending", 1)
                assert asked == ["rebinding.test"]
                assert ops.received[0].headers["host"] == f"rebinding.test:{ops.port}"
                answers["rebinding.test"] = ["169.254.169.254"]
                await work.pass_time(5)
                (state,) = await work.ended("pending", 2)
                assert "metadata" in state.error
                assert len(ops.received) == 1

    run(scenario())


def test_the_next_address_is_tried_when_one_does_not_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver(host="two.test") as ops:
            client = resolving({"two.test": ["::1", "127.0.0.1"]})  # it listens on the second only
            async with sending(tmp_path, ops.endpoint(), client=client) as work:
                work.record(1)
                await work.ended("delivered", 1)

    run(scenario())


def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        with receiver() as ops, receiver() as proxy:
            for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
                monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                await work.ended("delivered", 1)
                assert proxy.received == []

    run(scenario())


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "trusted", "delivered"),
    [("localhost", True, True), ("another.test", True, False), ("localhost", False, False)],
)
def test_tls_checks_the_name_whatever_the_address(tmp_path: Path, host: str, trusted: bool, delivered: bool) -> None:
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("receiver")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.cert, pair.key)
    client = resolving({host: ["127.0.0.1"]})
    if trusted:
        client._trust = ssl.create_default_context(cafile=str(authority.file))

    async def scenario() -> None:
        with receiver(tls, host=host) as ops:
            async with sending(tmp_path, ops.endpoint(), client=client) as work:
                work.record(1)
                (state,) = await work.ended("delivered" if delivered else "pending", 1)
                assert delivered or "certificate verify failed" in state.error
                assert len(ops.received) == delivered

    run(scenario())


# -- secrets, sizes, stops --------------------------------------------------------------------------------------------


def test_no_secret_is_said_or_kept(tmp_path: Path) -> None:
    """Neither the key nor the URL's path, which for a chat's webhook is the key."""
    key, path = SECRET.removeprefix("whsec_"), "T0000/B0000/XXXXSECRETXXXX"

    shown: list[bytes] = []

    async def scenario(ops: Receiver, dead: Receiver) -> None:
        url = f"http://user:{key}@127.0.0.1:{ops.port}/{path}"
        ops.reply = answering(Reply(500), Reply(302, {"Location": "/"}), Reply(410))
        broken = Endpoint("broken", f"htp://{path}", ("whsec_" + key[:5],), allow_private=True)
        endpoints = ops.endpoint(url=url), dead.endpoint("dead", url=f"{dead.url}/{path}"), broken
        async with sending(tmp_path, *endpoints) as work:
            work.record(1, webhooks=("ops", "dead", "broken"))
            for attempts in (1, 2):
                await work.ended("pending", attempts, count=3)
                await work.pass_time(DELAYS[attempts - 1])
            await work.ended("held", 3)
            shown.extend(_bytes_in(tmp_path))
        shown.extend(_bytes_in(tmp_path))
        shown.append(repr(endpoints).encode())

    with receiver() as ops, capture_logs() as logs:
        with receiver() as dead:
            pass
        run(scenario(ops, dead))
    assert len(logs) >= 5
    shown.append(repr(logs).encode())
    assert sum(len(text) for text in shown) > 10_000
    for secret in (key, key[:5], path):
        assert not [text for text in shown if secret.encode() in text]


def _bytes_in(directory: Path) -> list[bytes]:
    return [file.read_bytes() for file in directory.glob("webhooks.db*")]


def test_a_budget_with_a_name_of_a_megabyte(tmp_path: Path) -> None:
    async def scenario() -> None:
        name = "ü" * 1_000_000
        with receiver() as ops, receiver() as slack:
            async with sending(tmp_path, ops.endpoint(), slack.endpoint("slack", template="slack")) as work:
                work.record(1, budget=name, data={"budget": name}, webhooks=("ops", "slack"))
                (got,) = await asyncio.to_thread(ops.wait, 1)
                assert got.verify()["data"]["budget"] == name
                (message,) = await asyncio.to_thread(slack.wait, 1)
                assert len(message.body) < 10_000
                await work.ended("delivered", 1, count=2)

    run(scenario())


def test_a_stop_lets_attempts_under_way_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        let_go = threading.Event()
        with receiver() as ops:
            ops.reply = answering(Reply(hold=let_go))
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                await asyncio.to_thread(ops.wait, 1)
                work.sender.stop()
                work.record(2)
                let_go.set()
        outbox = Outbox(tmp_path / "webhooks.db", FakeClock(time.time_ns()))
        states = {one.event_id: one.state for one in outbox.overview.latest(9)}
        outbox.close()
        assert states == {an_event(1).id: "delivered", an_event(2).id: "pending"}
        assert len(ops.received) == 1

    run(scenario())


def test_a_stop_does_not_wait_for_ever_and_what_it_cut_off_is_sent_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.webhooks.sender._GRACE_SECONDS", 0.1)

    async def scenario() -> None:
        let_go = threading.Event()
        with receiver() as ops:
            ops.reply = answering(Reply(hold=let_go), Reply())
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                await asyncio.to_thread(ops.wait, 1)
            let_go.set()
            async with sending(tmp_path, ops.endpoint()) as work:
                await work.ended("delivered", 1)
            assert len({(one.id, one.body) for one in ops.received}) == 1
            assert len(ops.received) == 2

    run(scenario())


def test_while_the_disk_refuses_the_sender_goes_on_trying(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops, capture_logs() as logs:
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                await work.ended("delivered", 1)
                work.outbox._database._connection.execute("ALTER TABLE deliveries RENAME TO gone")
                work.sender.wake()
                await work.until(lambda: any("cannot be used" in str(entry.get("why")) for entry in logs))
                work.outbox._database._connection.execute("ALTER TABLE gone RENAME TO deliveries")
                work.record(2)
                await work.ended("delivered", 1, count=2)

    run(scenario())


def test_what_another_process_queues_is_found_without_being_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops:
            async with sending(tmp_path, ops.endpoint()) as work:
                work.record(1)
                await work.ended("delivered", 1)
                other = Outbox(tmp_path / "webhooks.db", work.clock)
                assert other.deliveries.replay([an_event(1).id]) == 1
                other.close()
                await work.ended("delivered", 2)
                assert len({(one.id, one.body) for one in ops.received}) == 1

    run(scenario())


def test_what_a_killed_process_had_claimed_is_sent_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        with receiver() as ops:
            killed = Outbox(tmp_path / "webhooks.db", FakeClock(time.time_ns()))
            killed.configure({"ops": ops.endpoint()})
            killed.record([an_event(1)])
            assert len(killed.deliveries.claim("ops", 1, lease=3600)) == 1
            killed.close()
            async with sending(tmp_path, ops.endpoint()) as work:
                await work.ended("delivered", 1)

    run(scenario())
