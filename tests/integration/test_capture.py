"""Capture policies in a running daemon: what reaches REST and pages, by project, service and agent."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support.daemon import Daemon, running
from tests.support.otlp import request, span, trace_id
from tests.support.wire import PROTOBUF, post, succeeded

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 100,
    "gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"the question"}]}]',
    "gen_ai.output.messages": '[{"role":"assistant","parts":[],"finish_reason":"stop"}]',
}
SETTINGS = {
    "capture": {
        "policies": [
            {"service": "clinic-*", "policy": "metadata"},
            {"service": "mute", "policy": "off"},
            {"service": "desk", "agent": ["planner"], "policy": "full"},
            {"service": "desk", "agent": "doctor*", "policy": "metadata"},
        ]
    }
}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    directory: Path = tmp_path_factory.mktemp("capture")
    config = directory / "config.yaml"
    config.write_text(yaml.safe_dump(SETTINGS))
    with running(directory / "data", config=config) as found:
        yield found


def policy_of(daemon: Daemon, service: str, **attributes: str) -> tuple[str, str, str, str]:
    """Policy, input, output and cost of a chat as stored."""
    trace = trace_id()
    message = request(span({**CHAT, **attributes}, trace_id=trace), resource={"service.name": service})
    succeeded(post(daemon.ports["http"], message.SerializeToString(), PROTOBUF))
    (row,) = daemon.trace(trace)
    return row["CapturePolicy"], row["Input"], row["Output"], row["Cost"]


COST = "0.003500000000"
FINISH = '[{"finish_reason":"stop"}]'


def test_policies_go_by_service_and_agent(daemon: Daemon) -> None:
    whole = CHAT["gen_ai.input.messages"], CHAT["gen_ai.output.messages"], COST
    assert policy_of(daemon, "shop") == ("full", *whole)
    assert policy_of(daemon, "clinic-1") == ("metadata", "", FINISH, COST)
    assert policy_of(daemon, "mute") == ("off", "", FINISH, COST)
    assert policy_of(daemon, "desk", **{"gen_ai.agent.name": "planner"}) == ("full", *whole)
    assert policy_of(daemon, "desk", **{"gen_ai.agent.name": "doctor-7"}) == ("metadata", "", FINISH, COST)
    # It may be of any agent: the strictest policy.
    assert policy_of(daemon, "desk")[0] == "metadata"


def test_pages_say_that_nothing_was_captured(daemon: Daemon) -> None:
    trace = trace_id()
    one = span(CHAT, trace_id=trace)
    one.status.code, one.status.message = 2, "the message"
    succeeded(
        post(daemon.ports["http"], request(one, resource={"service.name": "clinic-2"}).SerializeToString(), PROTOBUF)
    )
    daemon.trace(trace)
    for path in ("", f"?span={one.span_id.hex()}", "?view=conversation", "?view=prompt"):
        status, page = daemon.get(f"/runs/{trace.hex()}{path}")
        assert status == 200, path
        assert b"content not captured (metadata)" in page, path
        assert b"the question" not in page
        assert b"the message" not in page
