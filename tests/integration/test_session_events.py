"""Which stored log records are read when more of a session arrive: those of the turns that are touched, and no more."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.billing.session_events import SessionReader, touched_sessions
from collector.enrich.sessions import sources
from collector.model.envelope import Envelope, Signal
from collector.store import Store
from tests.support.sessions import RECEIVED, Daemon
from tests.support.stored import ENRICHER

MINUTE = 60 * 10**9

Record = tuple[str, int, dict[str, Any]]  # event, minutes from the begin, attributes


def envelope(number: int, scope: str, session: str, records: Sequence[Record]) -> Envelope:
    request: Any = ExportLogsServiceRequest()
    logs = request.resource_logs.add().scope_logs.add()
    logs.scope.name = scope
    for event, at, attributes in records:
        record = logs.log_records.add(time_unix_nano=RECEIVED + at * MINUTE, event_name=event)
        for key, value in {"session.id": session, "event.name": event, **attributes}.items():
            record.attributes.add(key=key).value.string_value = value
    return Envelope("default", RECEIVED + number, len(records), request.SerializeToString(), signal=Signal.LOGS)


def claude(number: int, session: str, *records: Record) -> Envelope:
    return envelope(number, "com.anthropic.claude_code.events", session, records)


def qwen(number: int, session: str, *records: Record) -> Envelope:
    return envelope(number, "qwen-code", session, records)


def call(at: int, prompt: str = "") -> Record:
    said = {"model": "claude-sonnet-4-5", "request_id": f"req_{at}", "input_tokens": "1000", "output_tokens": "10"}
    return "claude_code.api_request", at, said | ({"prompt.id": prompt} if prompt else {})


def prompt(at: int, name: str) -> Record:
    return "claude_code.user_prompt", at, {"prompt.id": name, "prompt": name}


def read(store: Store, daemon: Daemon, session: str, at: int, *prompts: str, **limits: int) -> list[list[int]]:
    """When the events were that are read for a record at `at`, by what is read at once; minutes from the begin."""
    rows = [
        {"Project": "default", "SessionId": session, "PromptId": name, "Timestamp": RECEIVED + at * MINUTE}
        for name in prompts or ("",)
    ]
    reader = SessionReader(sources(ENRICHER.families), daemon.metrics, **limits)
    found = reader.events(store, touched_sessions(pa.Table.from_pylist(rows)))
    return [[(event.at - RECEIVED) // MINUTE for event in together] for together in found]


@pytest.fixture
def daemon(store: Store) -> Daemon:
    """Three turns of two calls in a session whose records name their prompts."""
    daemon = Daemon(store)
    turns = [
        (prompt(at, name), call(at + 1, name), call(at + 2, name)) for at, name in ((0, "a"), (10, "b"), (20, "c"))
    ]
    for number, records in enumerate(turns):
        daemon.deliver([claude(number, "s", *records)])
    return daemon


def test_a_turn_whose_records_name_its_prompt_is_read_alone(store: Store, daemon: Daemon) -> None:
    assert read(store, daemon, "s", 12, "b") == [[10, 11, 12]]
    assert read(store, daemon, "s", 22, "a") == [[0, 1, 2, 20, 21, 22]]  # and what lies around it
    assert read(store, daemon, "another", 12, "b") == [[]]


def test_a_turn_lasts_from_one_prompt_to_the_next(store: Store, daemon: Daemon) -> None:
    said = {"input_token_count": "1000", "model": "qwen3-coder-plus"}
    records = [
        [("qwen-code.user_prompt", at, {"prompt": "x"}), ("qwen-code.api_response", at + 1, said)] for at in (0, 10, 20)
    ]
    for number, turn in enumerate(records):
        daemon.deliver([qwen(number, "q", *turn)])
    assert read(store, daemon, "q", 12) == [[10, 11]]
    assert read(store, daemon, "q", 10) == [[0, 1, 10, 11]]  # a prompt takes from the turn before it
    assert read(store, daemon, "q", -1) == [[]]
    assert read(store, daemon, "q", 99) == [[20, 21]]


def test_a_turn_that_is_too_large_is_left_out_and_counted(store: Store, daemon: Daemon) -> None:
    daemon.deliver([claude(9, "large", prompt(0, "z"), *(call(at, "z") for at in range(1, 9)))])
    assert read(store, daemon, "large", 5, "z", max_records=8) == []
    assert read(store, daemon, "large", 5, "z", max_bytes=100) == []
    assert daemon.metrics.oversized_turns._value.get() == 2
    assert read(store, daemon, "large", 5, "z", max_records=9) == [list(range(9))]


def test_sessions_are_read_together_as_far_as_there_is_room(store: Store, daemon: Daemon) -> None:
    for session in "xyz":
        daemon.deliver([claude(9, session, prompt(0, session), call(1, session))])
    rows = [
        {"Project": "default", "SessionId": session, "PromptId": session, "Timestamp": RECEIVED} for session in "xyz"
    ]
    reader = SessionReader(sources(ENRICHER.families), daemon.metrics, max_records=5)
    read_at_once = list(reader.events(store, touched_sessions(pa.Table.from_pylist(rows))))
    assert [sorted({event.session for event in events}) for events in read_at_once] == [["x", "y"], ["z"]]


def body(at: int, event: str, text: str, **attributes: str) -> Record:
    return f"claude_code.{event}", at, {"body": text, "query_source": "sdk", "prompt.id": "raw", **attributes}


RAW = (
    prompt(30, "raw"),
    body(31, "api_request_body", '{"messages":[{"role":"user","content":"first attempt"}]}'),
    body(32, "api_request_body", '{"messages":[{"role":"user","content":"hello"}]}'),
    body(33, "api_request_body", '{"messages":[{"role":"user","content":"a title"}]}', query_source="title"),
    body(34, "api_response_body", '{"role":"assistant","content":[{"type":"text","text":"hi"}]}', request_id="req_35"),
    call(35, "raw"),
)


def shown_content(store: Store) -> list[tuple[str, str]]:
    query = "SELECT Input, Output FROM otel_traces FINAL WHERE Kind = 'llm' AND ResponseId = 'req_35'"
    return [(row["Input"], row["Output"]) for row in store.query(query, {}).to_pylist()]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4, 5), (5, 4, 3, 2, 1, 0), (4, 5, 0, 2, 3, 1)])
def test_bodies_of_the_api_are_the_content_of_their_call(store: Store, order: Sequence[int]) -> None:
    daemon = Daemon(store)
    sent = [(event, at, {"query_source": "sdk", **said}) for event, at, said in RAW]
    for number, place in enumerate(order):
        daemon.deliver([claude(number, "raw", sent[place])])
    assert shown_content(store) == [(RAW[2][2]["body"], RAW[4][2]["body"])]


def test_bodies_are_left_out_of_a_turn_that_is_too_large_with_them(store: Store) -> None:
    daemon = Daemon(store)
    daemon.deliver([claude(0, "raw", *RAW)])
    assert read(store, daemon, "raw", 31, "raw") == [[30, 31, 32, 33, 34, 35]]
    assert read(store, daemon, "raw", 31, "raw", max_records=3) == [[30, 35]]
    assert daemon.metrics.registry.get_sample_value("spanmeter_drain_oversized_turns_total") == 0
