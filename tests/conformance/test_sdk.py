"""The real OpenTelemetry SDK exporters, as users run them."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from tests.support.daemon import Daemon
from tests.support.waiting import wait_until

SPANS = ["http-none", "http-gzip", "http-deflate", "grpc-none", "grpc-gzip", "grpc-deflate"]
_HTTP = {"none": Compression.NoCompression, "gzip": Compression.Gzip, "deflate": Compression.Deflate}
_GRPC = {"none": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}


@pytest.fixture(autouse=True)
def no_exporter_complains(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Exporters swallow failures and log them."""
    caplog.set_level(logging.WARNING)
    yield
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []


class Recorder(SpanExporter):
    """A real exporter, and its verdicts."""

    def __init__(self, real: SpanExporter) -> None:
        self._real = real
        self.results: list[SpanExportResult] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.results.append(self._real.export(spans))
        return self.results[-1]

    def shutdown(self) -> None:
        self._real.shutdown()


def span_exporter(daemon: Daemon, kind: str) -> SpanExporter:
    transport, compression = kind.split("-")
    if transport == "http":
        return HttpSpans(f"{daemon.http}/v1/traces", compression=_HTTP[compression], timeout=20)
    return GrpcSpans(daemon.grpc, insecure=True, compression=_GRPC[compression], timeout=20)


@pytest.mark.parametrize("kind", SPANS)
def test_spans(daemon: Daemon, kind: str) -> None:
    recorder = Recorder(span_exporter(daemon, kind))
    provider = TracerProvider(resource=Resource({"service.name": "sdk", "n": 1}))
    provider.add_span_processor(SimpleSpanProcessor(recorder))
    tracer = provider.get_tracer("scope", "1.2.3")
    elsewhere = trace.SpanContext(0xAB, 0xCD, is_remote=True)
    with tracer.start_as_current_span("parent", kind=trace.SpanKind.SERVER) as parent:
        child = tracer.start_span("child", links=[trace.Link(elsewhere, {"why": "because"})])
        child.set_attributes({"s": "h\u00e9 \U0001f600", "i": 42, "f": 0.5, "b": True, "list": ["a", "b"]})
        child.add_event("evt", {"k": 1}, timestamp=1_700_000_000_000_000_001)
        child.set_status(trace.StatusCode.ERROR, "broken")
        child.end()
    provider.shutdown()
    assert recorder.results == [SpanExportResult.SUCCESS] * 2
    context = parent.get_span_context()
    found = {span["SpanName"]: span for span in daemon.trace(f"{context.trace_id:032x}", 2)}
    assert found["parent"]["SpanKind"] == "Server"
    stored = found["child"]
    assert stored["ParentSpanId"] == f"{context.span_id:016x}"
    assert (stored["ServiceName"], stored["ScopeName"], stored["ScopeVersion"]) == ("sdk", "scope", "1.2.3")
    assert stored["ResourceAttributes"]["n"] == "1"
    assert stored["SpanAttributes"] == {
        "s": "h\u00e9 \U0001f600",
        "i": "42",
        "f": "0.5",
        "b": "true",
        "list": '["a","b"]',
    }
    assert (stored["StatusCode"], stored["StatusMessage"]) == ("Error", "broken")
    (event,) = stored["Events"]
    assert event == {"Timestamp": "1700000000000000001", "Name": "evt", "Attributes": {"k": "1"}}
    (link,) = stored["Links"]
    assert (link["TraceId"], link["SpanId"], link["Attributes"]) == (f"{0xAB:032x}", f"{0xCD:016x}", {"why": "because"})


@contextlib.contextmanager
def counted(daemon: Daemon, items: str, transport: str) -> Iterator[None]:
    """`items` come in by `transport` while the block runs, and are stored."""
    accepted, stored = f"spanmeter_receiver_accepted_{items}_total", f"spanmeter_drain_stored_{items}_total"
    before, stored_before = daemon.metric(accepted, transport=transport), daemon.metric(stored)
    yield
    assert daemon.metric(accepted, transport=transport) > before
    wait_until(lambda: daemon.metric(stored) > stored_before, 30, f"stored {items}")


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_metrics(daemon: Daemon, transport: str) -> None:
    exporter: Any = (
        HttpMetrics(f"{daemon.http}/v1/metrics", timeout=20)
        if transport == "http"
        else GrpcMetrics(daemon.grpc, insecure=True, timeout=20)
    )
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)])
    with counted(daemon, "metric_points", transport):
        provider.get_meter("m").create_counter("c").add(1)
        assert provider.force_flush(20_000)
        provider.shutdown()


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_logs(daemon: Daemon, transport: str) -> None:
    exporter: Any = (
        HttpLogs(f"{daemon.http}/v1/logs", timeout=20)
        if transport == "http"
        else GrpcLogs(daemon.grpc, insecure=True, timeout=20)
    )
    provider = LoggerProvider()
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    with counted(daemon, "log_records", transport):
        provider.get_logger("l").emit(body="hello", timestamp=1)
        assert provider.force_flush(20_000)
        provider.shutdown()
