"""Log records become rows: what the Collector's exporter writes, and what identifies a record."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from collector.admit import validate
from collector.decode import decode_logs, one_log
from collector.errors import Reason, Rejected
from collector.model.envelope import Encoding, Envelope, Signal
from collector.model.log_columns import LOG_SCHEMA
from tests.support import generated
from tests.support.otlp import attributes, field_bytes, json_of
from tests.support.signals import log_envelope, log_request, record
from tests.support.spans import START_NS


def envelope_of(message: Any, project: str = "p") -> Envelope:
    return Envelope(project, START_NS, 0, message.SerializeToString(), signal=Signal.LOGS)


def rows(*messages: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = decode_logs([envelope_of(message) for message in messages]).to_pylist()
    return found


def row(*args: Any, **fields: Any) -> dict[str, Any]:
    (found,) = rows(log_request(record(*args, **fields)))
    return found


def keys(*messages: Any) -> list[int]:
    return [found["RowKey"] for found in rows(*messages)]


def test_every_column() -> None:
    message = log_request(
        record(
            {"b": [1, None], "a": "x"},
            {"n": 7, "event.name": "api_request", "session.id": "s", "prompt.id": "p", "request_id": "r"},
            time_unix_nano=START_NS + 1,
            observed_time_unix_nano=START_NS + 2,
            severity_number=17,
            severity_text="Error",
            trace_id=b"\xab" * 16,
            span_id=b"\xcd" * 8,
            flags=0x101,
            event_name="own.name",
            dropped_attributes_count=3,
        ),
        resource={"service.name": "svc", "host": "h"},
    )
    resource_logs = message.resource_logs[0]
    resource_logs.schema_url = "https://example.com/1"
    scope_logs = resource_logs.scope_logs[0]
    scope_logs.schema_url, scope_logs.scope.version = "https://example.com/2", "1.2"
    scope_logs.scope.attributes.extend(attributes({"sa": 1.5}))
    batch = decode_logs([envelope_of(message, "team")])
    assert batch.schema == LOG_SCHEMA
    (found,) = batch.to_pylist()
    times = {name: found.pop(name).value for name in ("Timestamp", "ReceivedAt", "ObservedTimestamp")}
    assert times == {"Timestamp": START_NS + 1, "ReceivedAt": START_NS, "ObservedTimestamp": START_NS + 2}
    del found["RowKey"]
    assert found == {
        "TraceId": "ab" * 16,
        "SpanId": "cd" * 8,
        "TraceFlags": 1,
        "SeverityText": "Error",
        "SeverityNumber": 17,
        "ServiceName": "svc",
        "Body": '{"a":"x","b":[1,null]}',
        "ResourceSchemaUrl": "https://example.com/1",
        "ResourceAttributes": [("service.name", "svc"), ("host", "h")],
        "ScopeSchemaUrl": "https://example.com/2",
        "ScopeName": "scope",
        "ScopeVersion": "1.2",
        "ScopeAttributes": [("sa", "1.5")],
        "LogAttributes": [
            ("n", "7"),
            ("event.name", "api_request"),
            ("session.id", "s"),
            ("prompt.id", "p"),
            ("request_id", "r"),
        ],
        "EventName": "own.name",
        "Project": "team",
        "Event": "api_request",
        "SessionId": "s",
        "PromptId": "p",
        "RequestId": "r",
        "DroppedAttributesCount": 3,
    }


@pytest.mark.parametrize(
    ("time", "observed", "stored"), [(5, 9, 5), (0, 9, 9), (0, 0, 0), (2**64 - 1, 0, 2**63 - 1), (0, 2**63, 2**63 - 1)]
)
def test_the_time_is_that_of_the_event_or_of_its_observation(time: int, observed: int, stored: int) -> None:
    assert row(time_unix_nano=time, observed_time_unix_nano=observed)["Timestamp"].value == stored


@pytest.mark.parametrize("raw", [b"", bytes(16), b"\x01" * 15, b"\x01" * 17, b"\x01" * 8])
def test_a_trace_id_that_is_none_is_empty(raw: bytes) -> None:
    assert row(trace_id=raw, span_id=b"\x01" * 8)["TraceId"] == ""


@pytest.mark.parametrize("raw", [b"", bytes(8), b"\x01" * 7, b"\x01" * 16])
def test_a_span_id_that_is_none_is_empty(raw: bytes) -> None:
    assert row(trace_id=b"\x01" * 16, span_id=raw)["SpanId"] == ""


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"session.id": "a", "conversation.id": "b"}, "a"),
        ({"conversation.id": "b", "session.id": ""}, "b"),
        ({"gen_ai.conversation.id": "c"}, "c"),
        ({"session.id": 5}, "5"),
        ({}, "of the resource"),
    ],
)
def test_the_session_is_the_records_or_its_resources(attrs: dict[str, Any], expected: str) -> None:
    (found,) = rows(log_request(record("x", attrs), resource={"session.id": "of the resource"}))
    assert found["SessionId"] == expected


def test_a_record_without_a_session_is_of_its_prompt() -> None:
    assert row("x", {"prompt.id": "p"})["SessionId"] == "p"
    assert row("x", {"prompt.id": "p", "session.id": "s"})["SessionId"] == "s"


def test_the_event_is_named_by_the_attribute_or_the_field() -> None:
    assert row("x", {"event.name": "a"}, event_name="event src/x.rs:7")["Event"] == "a"
    assert row("x", {"event.name": ""}, event_name="b")["Event"] == "b"


def test_each_record_has_the_resource_and_scope_it_was_sent_under() -> None:
    message: Any = log_request(record("named"))
    message.resource_logs.add().scope_logs.add().log_records.append(record("bare"))
    message.resource_logs.add(schema_url="no records").scope_logs.add()
    assert [(found["Body"], found["ServiceName"], found["ScopeName"]) for found in rows(message)] == [
        ("named", "signals-test", "scope"),
        ("bare", "", ""),
    ]


def test_equal_records_of_one_request_have_keys_of_their_own() -> None:
    three = log_request(*[record("tick", {"a": 1})] * 3)
    assert len(set(keys(three))) == 3
    assert keys(three) == keys(three, three)[3:]
    assert keys(log_request(record("tick", {"a": 1}))) == keys(three)[:1]


@settings(max_examples=100)
@given(generated.log_requests)
def test_an_encoding_makes_no_difference(message: Any) -> None:
    body = json.dumps(json_of(message)).encode()
    transcoded = validate.validate(Signal.LOGS, body, Encoding.JSON)
    again = decode_logs([Envelope("p", START_NS, 0, transcoded.payload, signal=Signal.LOGS)])
    batch = decode_logs([envelope_of(message)])
    assert again.equals(batch)
    assert batch.num_rows == transcoded.receipt.accepted
    plainly = validate.validate(Signal.LOGS, message.SerializeToString(), Encoding.PROTOBUF)
    assert plainly.receipt == transcoded.receipt


@settings(max_examples=50)
@given(generated.log_requests)
def test_one_log_is_exactly_that_row_but_for_its_number_among_equals(message: Any) -> None:
    whole = envelope_of(message)
    batch = decode_logs([whole]).drop_columns(["RowKey"])
    for number in range(batch.num_rows):
        alone = decode_logs([one_log(whole, number)]).drop_columns(["RowKey"])
        assert alone.equals(batch.slice(number, 1))
    with pytest.raises(IndexError):
        one_log(whole, batch.num_rows)


@pytest.mark.parametrize(
    "changed",
    [
        {"time_unix_nano": START_NS + 1},
        {"observed_time_unix_nano": 1},
        {"severity_number": 10},
        {"severity_text": "x"},
        {"body": 1},
        {"attrs": {"k": 1}},
        {"attrs": {"k": "1", "l": ""}},
        {"trace_id": b"\x01" * 16},
        {"span_id": b"\x01" * 8},
        {"flags": 1},
        {"event_name": "e"},
        {"dropped_attributes_count": 1},
    ],
    ids=str,
)
def test_records_that_differ_have_different_keys(changed: dict[str, Any]) -> None:
    same: dict[str, Any] = {"body": "1", "attrs": {"k": "1"}}
    assert len(set(keys(log_request(record(**same)), log_request(record(**{**same, **changed}))))) == 2


def test_records_of_other_resources_scopes_and_projects_have_different_keys() -> None:
    def message(**resource: str) -> Any:
        return log_request(record(), resource=resource)

    other_scope, other_version, other_schema = message(), message(), message()
    other_scope.resource_logs[0].scope_logs[0].scope.name = "other"
    other_version.resource_logs[0].scope_logs[0].scope.version = "2"
    other_schema.resource_logs[0].schema_url = "x"
    found = keys(message(), message(r="1"), message(r="2"), other_scope, other_version, other_schema)
    (elsewhere,) = decode_logs([envelope_of(message(), "other")]).column("RowKey").to_pylist()
    assert len({*found, elsewhere}) == 7


def test_what_is_no_request_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        decode_logs([log_envelope(["x"]), Envelope("p", 0, 1, b"\x0a\xff", signal=Signal.LOGS)])
    assert refused.value.reason is Reason.MALFORMED


def test_what_records_share_counts_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large resource repeated for each of many records is too much, however small the request."""
    resource = {"service.name": "x" * 100_000}
    few, many = (log_request(*[record("")] * count, resource=resource) for count in (10, 10_000))
    found = validate.validate(Signal.LOGS, few.SerializeToString(), Encoding.PROTOBUF)
    assert 1_000_000 < found.expanded - len(found.payload) < 1_010_000
    monkeypatch.setattr(validate, "_natively", lambda *_: None)
    assert validate.validate(Signal.LOGS, few.SerializeToString(), Encoding.PROTOBUF) == found
    for _ in range(2):
        with pytest.raises(Rejected, match="repeated for each span, record or point") as refused:
            validate.validate(Signal.LOGS, many.SerializeToString(), Encoding.PROTOBUF)
        assert refused.value.reason is Reason.TOO_LARGE
        monkeypatch.undo()


@settings(max_examples=100)
@given(generated.log_requests)
def test_both_implementations_at_the_door_agree(message: Any) -> None:
    body = message.SerializeToString()
    natively = validate.validate(Signal.LOGS, body, Encoding.PROTOBUF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validate, "_natively", lambda *_: None)
        assert validate.validate(Signal.LOGS, body, Encoding.PROTOBUF) == natively
    unknown = validate.validate(Signal.LOGS, body + field_bytes(1000, b"newer"), Encoding.PROTOBUF)
    assert unknown.receipt == natively.receipt
