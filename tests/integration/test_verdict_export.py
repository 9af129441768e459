"""Verdicts that go out by OTLP: each once, whatever the receiver answers, and however the insert and the process end."""

import asyncio
import contextlib
import functools
import gzip
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from structlog.testing import capture_logs

from collector.config import Config
from collector.errors import ConfigError
from collector.evals.verdict_export import VerdictExport
from collector.evals.verdict_receiver import headers_of
from collector.evals.writing import EvaluationWriter
from collector.model.clock import Clock, SystemClock
from collector.model.evaluations import EvalKind, Evaluation, Verdict
from collector.store.client import Store
from collector.webhooks.client import Client
from tests.support.agent_runs import request, send, support_agent
from tests.support.clock import FakeClock
from tests.support.daemon import Daemon
from tests.support.evals import get, judge, post, trace
from tests.support.waiting import wait_until
from tests.support.webhooks import Received, Receiver, Reply, receiver

NOW = 1_790_000_000 * 10**9
COLUMNS = (
    "INSERT INTO evaluations (Id, At, Project, TraceId, Target, Evaluator, Kind, Batch, Status, Verdict, Version) "
)
OF_BATCH = (
    COLUMNS
    + "SELECT concat('ev_', toString(number)), now64(9), 'default', leftPad(hex(number), 32, '0'), 'run', 'cheap', "
    "'check', 'backfill-1', 'ok', 'pass', 1 FROM numbers(450)"
)


@pytest.fixture
def taking() -> Iterator[Receiver]:
    with receiver() as found:
        found.url = found.url.removesuffix("/hook")
        yield found


def found(number: int, **more: Any) -> Evaluation:
    made = Evaluation("default", f"{number:032x}", "polite", kind=EvalKind.CHECK, revision="r1", at=NOW + number)
    return replace(made, **{"verdict": Verdict.PASS, "score": 1.0, **more})


def settings(url: str, directory: Path, **more: Any) -> Config:
    return Config.model_validate(
        {"data_dir": directory, "evals": {"export": {"endpoint": url, "allow_private": True, **more}}}
    )


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))

    return run


class Sending:
    """An export at work."""

    def __init__(self, export: VerdictExport, store: Store) -> None:
        self.export = export
        self.store = store
        self.writer = EvaluationWriter(export.outbox)

    async def add(self, *rows: Evaluation) -> None:
        await asyncio.to_thread(self.writer.add, self.store, rows)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - threads know no asyncio.Event
                await asyncio.sleep(0.005)

    async def emptied(self) -> None:
        await self.until(lambda: self.export.outbox.sums().entries == 0)

    def counted(self) -> dict[str, float]:
        return {one.labels[0]: one.value for one in self.export.readings() if one.labels}


@asynccontextmanager
async def sending(
    config: Config, store: Store, clock: Clock | None = None, client: Client | None = None
) -> AsyncIterator[Sending]:
    export = VerdictExport(config, lambda: store, clock or SystemClock(), client, first_delay=0.01)
    task = asyncio.create_task(export.run())
    try:
        yield Sending(export, store)
    finally:
        await export.stop(1.0)
        await task
        export.close()


def records(requests: Sequence[Received]) -> list[LogRecord]:
    return [
        record
        for one in requests
        for resource in ExportLogsServiceRequest.FromString(gzip.decompress(one.body)).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def runs(requests: Sequence[Received]) -> list[int]:
    return [int(record.trace_id.hex(), 16) for record in records(requests)]


@in_a_loop
async def test_what_goes_out(taking: Receiver, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20secret,x-tenant=shop")
    config = settings(taking.url, tmp_path, projects=["default"])
    async with sending(config, store) as out:
        await out.add(
            found(1),
            found(1, vote=1),
            found(2, kind=EvalKind.JUDGE, verdict=Verdict.FAIL, reason="Rude."),
            found(3, kind=EvalKind.HUMAN, labeler="ann"),
            found(4, kind=EvalKind.EXTERNAL),
            found(5, project="other"),
        )
        await out.emptied()
        assert out.counted() == {"sent": 3, "rejected": 0, "dropped": 0}
    (one,) = taking.received
    assert (one.path, one.headers["content-type"]) == ("/v1/logs", "application/x-protobuf")
    assert (one.headers["authorization"], one.headers["x-tenant"]) == ("Bearer secret", "shop")
    assert runs([one]) == [1, 2, 3], "no votes, no verdicts of others, no other project"
    told = {entry.key: entry.value for entry in records([one])[1].attributes}
    assert told["gen_ai.evaluation.score.label"].string_value == "fail"
    assert told["gen_ai.evaluation.explanation"].string_value == "Rude."
    (resource,) = ExportLogsServiceRequest.FromString(gzip.decompress(one.body)).resource_logs
    assert ("spanmeter.project", "default") in {(e.key, e.value.string_value) for e in resource.resource.attributes}


@pytest.mark.parametrize(
    ("reply", "sent", "rejected"),
    [
        (Reply(503, {"retry-after": "0"}), [[1, 2], [1, 2]], 0),
        (Reply(429), [[1, 2], [1, 2]], 0),
        (Reply(401), [[1, 2], [1, 2]], 0),
        (Reply(302, {"location": "http://169.254.169.254/"}), [[1, 2], [1, 2]], 0),
        (Reply(413), [[1, 2], [1], [2]], 0),
        (Reply(400), [[1, 2]], 2),
        (Reply(200, body=b"\xff not protobuf"), [[1, 2]], 0),
        (
            Reply(
                body=ExportLogsServiceResponse(
                    partial_success=ExportLogsPartialSuccess(rejected_log_records=1, error_message="too old")
                ).SerializeToString()
            ),
            [[1, 2]],
            1,
        ),
    ],
)
@in_a_loop
async def test_what_answers_mean(
    taking: Receiver, store: Store, tmp_path: Path, reply: Reply, sent: list[list[int]], rejected: int
) -> None:
    taking.reply = lambda _, number: reply if number == 0 else Reply(body=b"")
    async with sending(settings(taking.url, tmp_path), store) as out:
        await out.add(found(1), found(2))
        await out.emptied()
        assert out.counted() == {"sent": 2 - rejected, "rejected": rejected, "dropped": 0}
    assert [runs([one]) for one in taking.received] == sent


@in_a_loop
async def test_a_batch_goes_on_where_it_was(taking: Receiver, store: Store, tmp_path: Path) -> None:
    taking.reply = lambda _, number: Reply(503 if number == 1 else 200, {"retry-after": "300"} if number == 1 else {})
    async with sending(settings(taking.url, tmp_path), store) as out:
        with out.writer.adding_batch("default", "cheap", "backfill-1"):
            await asyncio.to_thread(store.command, OF_BATCH)
        await out.until(lambda: len(taking.received) == 2)
    async with sending(settings(taking.url, tmp_path), store) as out:
        await out.emptied()
    assert [len(runs([one])) for one in taking.received] == [200, 200, 200, 50]
    assert taking.received[1].body == taking.received[2].body, "what was not taken is sent again"
    taken = taking.received[:1] + taking.received[2:]
    assert runs(taken) == list(range(450)), "each once"


@in_a_loop
async def test_inserts_in_doubt(taking: Receiver, store: Store, tmp_path: Path) -> None:
    clock = FakeClock()
    stored, lost = found(1), found(2)
    store_of_one = EvaluationWriter()
    async with sending(settings(taking.url, tmp_path), store, clock) as out:
        interrupted = contextlib.ExitStack()
        interrupted.enter_context(out.export.outbox.adding([stored, lost]))
        store_of_one.add(store, [stored])
        assert not interrupted.__exit__(TimeoutError, TimeoutError(), None)
        await out.add(found(3))
        await asyncio.to_thread(taking.wait, 1)
        assert runs(taking.received) == [3], "nobody knows yet what came of the others"
        clock.advance(901)
        await out.add(found(4))
        await out.emptied()
        assert sorted(runs(taking.received)) == [1, 3, 4]


@in_a_loop
async def test_nothing_is_remembered_without_an_endpoint(store: Store, tmp_path: Path, taking: Receiver) -> None:
    async with sending(Config(data_dir=tmp_path), store) as out:
        await out.add(found(1))
        assert out.export.outbox.sums().entries == 0
        await out.export.reload(settings(taking.url, tmp_path))
        await out.add(found(2))
        await out.emptied()
    assert runs(taking.received) == [2]


@in_a_loop
async def test_where_verdicts_never_go(taking: Receiver, store: Store, tmp_path: Path) -> None:
    async def metadata(*_: object) -> list[str]:
        return ["169.254.169.254"]

    with capture_logs() as said:
        async with sending(settings(taking.url, tmp_path), store, client=Client(resolve=metadata)) as out:
            await out.add(found(1))
            await out.until(lambda: len(said) > 1)
            assert out.export.outbox.sums().verdicts == 1
    assert "metadata service" in said[0]["why"]
    assert taking.received == []


def test_room_is_bounded(tmp_path: Path, store: Store) -> None:
    export = VerdictExport(settings("http://127.0.0.1:9", tmp_path), lambda: store, SystemClock())
    for number in range(10):
        with export.outbox.adding([found(number)]):
            pass
    half = export.outbox.sums().bytes // 2
    assert export.outbox.make_room(half) == 5
    assert [int(one.rows[0].trace_id, 16) for one in export.outbox.waiting()] == [5, 6, 7, 8, 9]
    export.close()


@pytest.mark.parametrize("text", ["Bearer secret", "a=b,secret", "a=secret%0d%0ax: y", "a b=secret", "a="])
def test_headers_that_cannot_be_sent(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIRS", text)
    with pytest.raises(ConfigError, match="THEIRS") as refused:
        headers_of("THEIRS")
    assert "secret" not in str(refused.value)


def test_headers_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_HEADERS", raising=False)
    assert headers_of("OTEL_EXPORTER_OTLP_HEADERS") == {}
    with pytest.raises(ConfigError, match="THEIRS, which is not set"):
        headers_of("THEIRS")
    monkeypatch.setenv("THEIRS", " Api-Key = a%3Db%2Cc , x=1,")
    assert headers_of("THEIRS") == {"api-key": "a=b,c", "x": "1"}


EVALUATORS = """
evaluators:
- {name: cheap, settle: 0s, kind: bound, metric: cost_usd, max: 0.000001}
- {name: short, on: span, settle: 0s, select: {where: [{kind: tool}]}, kind: bound, metric: duration_ms, max: 500}
"""


def test_a_daemon_that_sends_to_itself(tmp_path: Path) -> None:
    """Verdicts that come back are the rows that they were, and do not go out again; a kill loses and doubles none."""
    (tmp_path / "config.yaml").write_text(EVALUATORS)
    daemon = Daemon(tmp_path / "data", config=tmp_path / "config.yaml", keeps_ports=True)
    export = f"evals.export.endpoint={daemon.http}", "evals.export.allow_private=true"
    daemon.settings += ["spool.flush_interval=100ms", "evals.enabled=false", *export]
    daemon.start()
    try:
        daemon.wait_until_ready()
        for number in (1, 2, 3):
            send(daemon.http, request(support_agent(), number, time.time_ns() - 700 * 10**9))
            daemon.trace(trace(number), len(support_agent()))
        judge(daemon)
        label = {"trace_id": trace(1), "evaluator": "cheap", "verdict": "pass"}
        assert post(daemon, "/api/v1/evaluations/labels", label)[0] == 201
        before = get(daemon, "/api/v1/evaluations?limit=1000&all=true")["evaluations"]
        assert len(before) > 10
        daemon.kill()
        daemon.start()
        daemon.wait_until_ready()
        wait_until(lambda: sent_records(daemon) >= len(before), 30, "the records")
        wait_until(lambda: daemon.metric("spanmeter_verdicts_pending") == 0, 30, "an empty outbox")
        assert get(daemon, "/api/v1/evaluations?limit=1000&all=true")["evaluations"] == before
        assert daemon.stop() == 0, daemon.log()
    finally:
        daemon.kill()


def sent_records(daemon: Daemon) -> int:
    """How many different verdicts have come back and are stored."""
    query = "SELECT uniqExact(TraceId, SpanId, LogAttributes) FROM otel_logs WHERE Event = 'gen_ai.evaluation.result'"
    url = f"http://127.0.0.1:{daemon.ports['query']}/?database=otel"
    with urllib.request.urlopen(url, query.encode()) as response:
        return int(response.read())
