"""Capture policies and MCP in a daemon of several processes: each applies them, and a run that is recorded is one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mcp import Client

from tests.support.daemon import Daemon, running
from tests.support.mcp import called, failed, using
from tests.support.otlp import request, span, trace_id
from tests.support.planted import on_disk
from tests.support.waiting import wait_until
from tests.support.wire import PROTOBUF, post, succeeded

SECRET = "jane doe said so"
SETTINGS = {
    "processes": 2,
    "query": {"enabled": False},
    "web": {"mcp": {"anonymous_record": True}},
    "capture": {"policies": [{"service": "clinic", "policy": "metadata"}], "redact": [{"builtin": "email"}]},
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory: Path = tmp_path_factory.mktemp("capture-processes")
    config = directory / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    with running(directory / "data", config=config) as found:
        yield found


def run(service: str, **more: Any) -> dict[str, Any]:
    step = {"kind": "llm", "name": "gpt-4o", "provider": "openai", "input_tokens": 1000, "output_tokens": 100}
    texts = {"input": f"{SECRET} to jane@example.com", "output": SECRET}
    return {"name": "note", "service": service, **texts, "steps": [{**step, **texts}], **more}


def files(daemon: Daemon) -> bytes:
    return on_disk(daemon.directory) + daemon.log().encode()


@pytest.mark.slow
def test_every_process_applies_them(daemon: Daemon) -> None:
    def workers() -> set[str]:
        lines = daemon.get("/metrics")[1].decode().splitlines()
        counted = (line for line in lines if line.startswith("spanmeter_capture_items_total{") and "metadata" in line)
        return {line.partition('worker="')[2].partition('"')[0] for line in counted}

    def sent() -> bool:
        message = request(span({"my.own": SECRET}, trace_id=trace_id()), resource={"service.name": "clinic"})
        succeeded(post(daemon.ports["http"], message.SerializeToString(), PROTOBUF))
        return len(workers()) == 2

    wait_until(sent, 30, "both processes have applied the policy")
    assert SECRET.encode() not in files(daemon)


@pytest.mark.slow
def test_what_is_recorded_follows_them_too(daemon: Daemon) -> None:
    async def record(client: Client) -> tuple[Any, Any]:
        return await called(client, "record_run", run("clinic")), await called(client, "record_run", run("shop"))

    withheld, redacted = using(daemon.web, record)
    spans = daemon.trace(withheld["trace_id"], 2)
    assert {span["CapturePolicy"] for span in spans} == {"metadata"}
    assert {span["Input"] + span["Output"] for span in spans} == {""}
    assert {span["Cost"] for span in spans} == {None, "0.003500000000"}
    assert {span["Input"] for span in daemon.trace(redacted["trace_id"], 2)} == {f"{SECRET} to [redacted:email]"}


@pytest.mark.slow
def test_a_key_makes_calls_one_run(daemon: Daemon) -> None:
    stated = run("shop", key="note-1", agent="keyed")

    async def record(client: Client) -> Any:
        answers = [await called(client, "record_run", stated) for _ in range(3)]
        assert answers[0] == answers[1] == answers[2]
        assert "The key was used for another run" in await failed(client, "record_run", {**stated, "name": "other"})
        other = await called(client, "record_run", {**stated, "key": "note-2"})
        assert other["trace_id"] != answers[0]["trace_id"]
        await asyncio.to_thread(daemon.trace, other["trace_id"], 2)
        assert len(await asyncio.to_thread(daemon.trace, answers[0]["trace_id"], 2)) == 2
        return await called(client, "find_runs", {"agent": "keyed"})

    assert len(using(daemon.web, record)["runs"]) == 2
