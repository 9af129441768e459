"""What real SDKs sent, captured once and sent again: every span is stored as an independent reading says."""

import base64
import functools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from tests.support.daemon import Daemon
from tests.support.otlp import KINDS, STATUSES, any_value, text_of
from tests.support.tokens import OTHER, WRITER
from tests.support.wire import JSON, PROTOBUF, call, post, succeeded

ROOT = Path(__file__).parents[1] / "fixtures" / "otlp"
TRACES = sorted(path for path in ROOT.glob("*/*.traces.*") if not path.name.endswith(".meta.json"))
OTHERS = sorted(path for path in ROOT.glob("*/*") if re.search(r"\.(logs|metrics)\.(pb|json)$", path.name))

Row = dict[str, Any]


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def media_type_of(path: Path) -> str:
    return JSON if path.suffix == ".json" else PROTOBUF


def attributes_of(items: Any) -> dict[str, str]:
    return {pair.key: text_of(pair.value) for pair in items}


def from_protobuf(body: bytes) -> Iterator[Row]:
    """The spans of a protobuf body, as the daemon's API has to show them."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        shared = attributes_of(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "TraceId": span.trace_id.hex(),
                    "SpanId": span.span_id.hex(),
                    "ParentSpanId": span.parent_span_id.hex(),
                    "TraceState": span.trace_state,
                    "SpanName": span.name,
                    "SpanKind": KINDS[span.kind],
                    "ServiceName": shared.get("service.name", ""),
                    "ResourceAttributes": shared,
                    "ScopeName": scope.scope.name,
                    "ScopeVersion": scope.scope.version,
                    "SpanAttributes": attributes_of(span.attributes),
                    "Timestamp": str(span.start_time_unix_nano),
                    "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
                    "StatusCode": STATUSES[span.status.code],
                    "StatusMessage": span.status.message,
                    "TraceFlags": span.flags,
                    "Events": [
                        {
                            "Timestamp": str(event.time_unix_nano),
                            "Name": event.name,
                            "Attributes": attributes_of(event.attributes),
                        }
                        for event in span.events
                    ],
                    "Links": [
                        {
                            "TraceId": link.trace_id.hex(),
                            "SpanId": link.span_id.hex(),
                            "TraceState": link.trace_state,
                            "Attributes": attributes_of(link.attributes),
                        }
                        for link in span.links
                    ],
                }


_READ: dict[str, Callable[[Any], Any]] = {"intValue": int, "doubleValue": float, "bytesValue": base64.b64decode}


def json_value(value: dict[str, Any]) -> Any:
    """A JSON AnyValue as a plain value."""
    if not value:
        return AnyValue()
    ((kind, content),) = value.items()
    if kind == "arrayValue":
        return [json_value(item) for item in content.get("values", [])]
    if kind == "kvlistValue":
        return {pair["key"]: json_value(pair.get("value", {})) for pair in content.get("values", [])}
    return _READ.get(kind, lambda same: same)(content)


def json_attributes(items: list[dict[str, Any]]) -> dict[str, str]:
    return {pair["key"]: text_of(any_value(json_value(pair.get("value", {})))) for pair in items}


def from_json(body: bytes) -> Iterator[Row]:
    """The same of a JSON body, walked without protobuf."""
    for resource in json.loads(body)["resourceSpans"]:
        shared = json_attributes(resource.get("resource", {}).get("attributes", []))
        for scope_spans in resource["scopeSpans"]:
            scope = scope_spans.get("scope", {})
            for span in scope_spans["spans"]:
                start, end = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
                yield {
                    "TraceId": span["traceId"].lower(),
                    "SpanId": span["spanId"].lower(),
                    "ParentSpanId": span.get("parentSpanId", "").lower(),
                    "TraceState": span.get("traceState", ""),
                    "SpanName": span["name"],
                    "SpanKind": KINDS[span.get("kind", 0)],
                    "ServiceName": shared.get("service.name", ""),
                    "ResourceAttributes": shared,
                    "ScopeName": scope.get("name", ""),
                    "ScopeVersion": scope.get("version", ""),
                    "SpanAttributes": json_attributes(span.get("attributes", [])),
                    "Timestamp": str(start),
                    "Duration": end - start,
                    "StatusCode": STATUSES[span.get("status", {}).get("code", 0)],
                    "StatusMessage": span.get("status", {}).get("message", ""),
                    "TraceFlags": span.get("flags", 0),
                    "Events": [
                        {
                            "Timestamp": str(event["timeUnixNano"]),
                            "Name": event["name"],
                            "Attributes": json_attributes(event.get("attributes", [])),
                        }
                        for event in span.get("events", [])
                    ],
                    "Links": [
                        {
                            "TraceId": link["traceId"].lower(),
                            "SpanId": link["spanId"].lower(),
                            "TraceState": link.get("traceState", ""),
                            "Attributes": json_attributes(link.get("attributes", [])),
                        }
                        for link in span.get("links", [])
                    ],
                }


@functools.cache
def expected(path: Path) -> dict[str, dict[str, Row]]:
    """The spans of a payload, by trace and span id."""
    rows = from_json(path.read_bytes()) if path.suffix == ".json" else from_protobuf(path.read_bytes())
    traces: dict[str, dict[str, Row]] = {}
    for row in rows:
        spans = traces.setdefault(row["TraceId"], {})
        assert row["SpanId"] not in spans
        spans[row["SpanId"]] = row
    return traces


def traces_in(paths: list[Path]) -> dict[str, dict[str, Row]]:
    """What several payloads hold together: some SDKs send a trace in parts."""
    together: dict[str, dict[str, Row]] = {}
    for path in paths:
        for trace, spans in expected(path).items():
            assert not spans.keys() & together.get(trace, {}).keys()
            together.setdefault(trace, {}).update(spans)
    return together


def assert_stored(daemon: Daemon, path: Path, sent: list[Path], token: str) -> None:
    """Every span of `path` is there once, with everything it was sent with, and its traces hold nothing else."""
    together = traces_in(sent)
    for trace, spans in expected(path).items():
        found = {span["SpanId"]: span for span in daemon.trace(trace, len(together[trace]), token)}
        assert found.keys() == together[trace].keys()
        for span_id, row in spans.items():
            assert {name: found[span_id][name] for name in row} == row


@pytest.fixture(scope="module")
def over_http(guarded: Daemon) -> list[Path]:
    """All payloads, sent over HTTP to one project."""
    before = guarded.metric("spanmeter_receiver_accepted_spans_total", transport="http")
    for path in TRACES:
        headers = {"Authorization": f"Bearer {WRITER}"}
        answer = post(guarded.ports["http"], path.read_bytes(), media_type_of(path), headers)
        succeeded(answer, media_type_of(path))
    count = sum(map(len, traces_in(TRACES).values()))
    assert guarded.metric("spanmeter_receiver_accepted_spans_total", transport="http") == before + count
    return TRACES


@pytest.fixture(scope="module")
def over_grpc(guarded: Daemon) -> list[Path]:
    """The protobuf payloads, sent over gRPC to another project."""
    paths = [path for path in TRACES if path.suffix == ".pb"]
    before = guarded.metric("spanmeter_receiver_accepted_spans_total", transport="grpc")
    for path in paths:
        called = call(guarded.grpc, path.read_bytes(), metadata=[("authorization", f"Bearer {OTHER}")])
        assert called.code is grpc.StatusCode.OK
        assert not called.response.HasField("partial_success")
    count = sum(map(len, traces_in(paths).values()))
    assert guarded.metric("spanmeter_receiver_accepted_spans_total", transport="grpc") == before + count
    return paths


def test_the_fixtures_are_here() -> None:
    assert len(TRACES) == 52
    assert len(OTHERS) == 56
    assert sum(map(len, traces_in(TRACES).values())) > 300


@pytest.mark.parametrize("path", TRACES, ids=name_of)
def test_spans_over_http(guarded: Daemon, over_http: list[Path], path: Path) -> None:
    assert_stored(guarded, path, over_http, WRITER)


@pytest.mark.parametrize("path", [path for path in TRACES if path.suffix == ".pb"], ids=name_of)
def test_spans_over_grpc(guarded: Daemon, over_grpc: list[Path], path: Path) -> None:
    assert_stored(guarded, path, over_grpc, OTHER)


@pytest.mark.parametrize("path", OTHERS, ids=name_of)
def test_logs_and_metrics_are_taken(guarded: Daemon, path: Path) -> None:
    signal = path.name.split(".")[1]
    headers = {"x-api-key": WRITER}
    url_path = f"/otlp/v1/{signal}"
    succeeded(
        post(guarded.ports["http"], path.read_bytes(), media_type_of(path), headers, url_path), media_type_of(path)
    )
