"""Logs and metrics from real exporters and from any encoding, read back as readers of the exporter's tables do."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import clickhouse_connect
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from collector.model.metric_columns import MetricKind
from tests.support.clickhouse_server import ClickHouseProcess
from tests.support.daemon import Daemon, running
from tests.support.otlp import json_of
from tests.support.signals import (
    buckets,
    histogram,
    log_request,
    metric_request,
    number,
    one_of_each,
    record,
    total,
)
from tests.support.waiting import wait_until
from tests.support.wire import JSON, post, succeeded

VIA = pytest.mark.parametrize("via", ["http", "grpc"])


class Lab:
    """A daemon, and the ClickHouse server it writes to."""

    def __init__(self, daemon: Daemon, server: ClickHouseProcess) -> None:
        self.daemon = daemon
        self._client = clickhouse_connect.get_client(dsn=server.url, database="otel", autogenerate_session_id=False)

    def rows(self, table: str, service: str, count: int) -> list[dict[str, Any]]:
        """Every row of a service, once there are `count`."""
        found: list[dict[str, Any]] = []

        def stored() -> bool:
            nonlocal found
            result = self._client.query(f"SELECT * FROM {table} WHERE ServiceName = {{s:String}}", {"s": service})
            found = list(result.named_results())
            return len(found) >= count

        wait_until(stored, 30, f"{count} rows of {table}")
        return found

    def counted(self, table: str, service: str) -> int:
        """Rows of a service under FINAL."""
        question = f"SELECT count() FROM {table} FINAL WHERE ServiceName = {{s:String}}"
        return int(self._client.query(question, {"s": service}).first_row[0])

    def query(self, question: str, service: str) -> list[dict[str, Any]]:
        """The answer to a question about `{s:String}`, a service."""
        return list(self._client.query(question, {"s": service}).named_results())

    def send_metrics(self, service: str, *metrics: Any, encoding: str = "protobuf") -> None:
        message = metric_request(*metrics, resource={"service.name": service})
        port = self.daemon.ports["http"]
        if encoding == "json":
            succeeded(post(port, json_of(message), JSON, path="/v1/metrics"), JSON)
        else:
            succeeded(post(port, message.SerializeToString(), path="/v1/metrics"))

    def close(self) -> None:
        self._client.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("signals")
    server = ClickHouseProcess(directory / "clickhouse")
    server.start()
    try:
        with running(directory / "data", [f"store.url={server.url}"]) as daemon:
            made = Lab(daemon, server)
            yield made
            made.close()
    finally:
        server.kill()


@pytest.fixture
def service() -> str:
    return f"signals-{uuid.uuid4().hex}"


@VIA
def test_logs_of_the_sdk(lab: Lab, service: str, via: str) -> None:
    exporter: Any = (
        HttpLogs(f"{lab.daemon.http}/v1/logs", timeout=20)
        if via == "http"
        else GrpcLogs(lab.daemon.grpc, insecure=True, timeout=20)
    )
    provider = LoggerProvider(resource=Resource.create({"service.name": service}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    now = time.time_ns()
    provider.get_logger("scope", "1.2").emit(
        LogRecord(
            timestamp=now,
            observed_timestamp=now + 1,
            severity_text="WARN",
            severity_number=SeverityNumber.WARN,
            body={"a": [1, "b"]},
            attributes={"n": 1, "session.id": "s"},
            event_name="evt",
        )
    )
    assert provider.force_flush(20_000)
    provider.shutdown()
    (row,) = lab.rows("otel_logs", service, 1)
    assert (row["SeverityText"], row["SeverityNumber"], row["ScopeName"], row["ScopeVersion"]) == (
        "WARN",
        13,
        "scope",
        "1.2",
    )
    assert json.loads(row["Body"]) == {"a": [1, "b"]}
    assert row["LogAttributes"] == {"n": "1", "session.id": "s"}
    assert (row["EventName"], row["Event"], row["SessionId"]) == ("evt", "evt", "s")


def test_log_records_sent_again_in_any_form_count_once(lab: Lab, service: str) -> None:
    """As they were, as JSON, in smaller batches, with attributes in another order."""
    now = time.time_ns()
    lines = [record("tick", {"a": 1, "b": [2, {"c": 3}]}, time_unix_nano=now)] * 3
    lines += [record(f"line {n}", {"a": n, "b": "x"}, time_unix_nano=now + n) for n in range(5)]
    resource = {"service.name": service, "host": "h"}
    message = log_request(*lines, resource=resource)
    turned = log_request(*lines, resource=resource)
    for item in turned.resource_logs[0].scope_logs[0].log_records:
        pairs = list(item.attributes)[::-1]
        del item.attributes[:]
        item.attributes.extend(pairs)
    again = [message, turned, log_request(*lines[:5], resource=resource), log_request(*lines[5:], resource=resource)]
    port = lab.daemon.ports["http"]
    for each in again:
        succeeded(post(port, each.SerializeToString(), path="/v1/logs"))
    succeeded(post(port, json_of(message), JSON, path="/v1/logs"), JSON)
    lab.rows("otel_logs", service, 32)
    assert lab.counted("otel_logs", service) == 8


def test_a_request_sent_again_as_it_was_is_stored_once(lab: Lab, service: str) -> None:
    body = log_request(record(), resource={"service.name": service}).SerializeToString()
    for _ in range(3):
        succeeded(post(lab.daemon.ports["http"], body, path="/v1/logs"))
    other = f"{service}-after"
    succeeded(
        post(
            lab.daemon.ports["http"],
            log_request(record(), resource={"service.name": other}).SerializeToString(),
            path="/v1/logs",
        )
    )
    lab.rows("otel_logs", other, 1)
    assert len(lab.rows("otel_logs", service, 1)) == 1


def test_the_times_of_old_readers_and_of_broken_clocks(lab: Lab, service: str) -> None:
    """TimestampTime is there for readers of the exporter's older table; a part a day is made of plausible days only."""
    now = time.time_ns()
    far = [1, now - 500 * 86_400 * 10**9, now + 8 * 86_400 * 10**9, 2**63 - 1]
    lines = [record("x", time_unix_nano=at) for at in (now, *far)]
    body = log_request(*lines, resource={"service.name": service}).SerializeToString()
    succeeded(post(lab.daemon.ports["http"], body, path="/v1/logs"))
    lab.rows("otel_logs", service, 5)
    question = (
        "SELECT toUnixTimestamp64Nano(Timestamp) AS At, toString(Day) AS Day, toUnixTimestamp(TimestampTime) AS Seconds "
        "FROM otel_logs WHERE ServiceName = {s:String} ORDER BY At"
    )
    found = lab.query(question, service)
    assert [row["At"] for row in found] == sorted([now, *far])
    assert [row["Day"] for row in found] == [
        "1970-01-01",
        "1970-01-01",
        time.strftime("%Y-%m-%d", time.gmtime(now / 1e9)),
        "1970-01-01",
        "1970-01-01",
    ]
    assert found[2]["Seconds"] == now // 10**9


def test_what_was_taken_and_stored_is_counted(lab: Lab, service: str) -> None:
    names = ("spanmeter_receiver_accepted_log_records_total", "spanmeter_drain_stored_log_records_total")
    before = [lab.daemon.metric(name) for name in names]
    body = log_request(record("a"), record("b"), resource={"service.name": service}).SerializeToString()
    succeeded(post(lab.daemon.ports["http"], body, path="/v1/logs"))
    lab.rows("otel_logs", service, 2)
    wait_until(lambda: lab.daemon.metric(names[1]) == before[1] + 2, 10, "the count")
    assert lab.daemon.metric(names[0]) == before[0] + 2


@VIA
@pytest.mark.parametrize("temporality", [1, 2], ids=["delta", "cumulative"])
def test_metrics_of_the_sdk(lab: Lab, service: str, via: str, temporality: int) -> None:
    preferred: dict[type, AggregationTemporality] = {
        kind: AggregationTemporality(temporality) for kind in (sdk.Counter, sdk.Histogram)
    }
    exporter: Any = (
        HttpMetrics(f"{lab.daemon.http}/v1/metrics", timeout=20, preferred_temporality=preferred)
        if via == "http"
        else GrpcMetrics(lab.daemon.grpc, insecure=True, timeout=20, preferred_temporality=preferred)
    )
    provider = sdk.MeterProvider(
        [PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)],
        resource=Resource.create({"service.name": service}),
        views=[View(instrument_name="e", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = provider.get_meter("scope", "1.0")
    counter = meter.create_counter("c", unit="By")
    counter.add(5, {"a": 1})
    meter.create_gauge("g").set(2.5)
    meter.create_histogram("h").record(12)
    meter.create_histogram("e").record(12)
    assert provider.force_flush(20_000)
    counter.add(2, {"a": 1})
    assert provider.force_flush(20_000)
    provider.shutdown()
    sums = sorted(lab.rows("otel_metrics_sum", service, 2), key=lambda row: row["TimeUnix"])
    assert [row["Value"] for row in sums[:2]] == ([5, 2] if temporality == 1 else [5, 7])
    first = sums[0]
    assert (first["MetricName"], first["MetricUnit"], first["Attributes"]) == ("c", "By", {"a": "1"})
    assert (first["IsMonotonic"], first["AggregationTemporality"]) == (True, temporality)
    assert lab.rows("otel_metrics_gauge", service, 1)[0]["Value"] == 2.5
    assert lab.rows("otel_metrics_histogram", service, 1)[0]["Count"] == 1
    assert lab.rows("otel_metrics_exponential_histogram", service, 1)[0]["Max"] == 12
    question = "SELECT sum(Increase) AS Total FROM otel_metrics_sum_increases WHERE ServiceName = {s:String}"
    assert lab.query(question, service) == [{"Total": 7}]


def test_metric_points_sent_again_in_any_form_count_once(lab: Lab, service: str) -> None:
    times: dict[str, Any] = {"start_time_unix_nano": time.time_ns() - 100, "attrs": {"a": 1, "b": [2]}}
    turned = {**times, "attrs": {"b": [2], "a": 1}}
    for metrics in (one_of_each(**times), one_of_each(**turned), *[[one] for one in one_of_each(**times)]):
        lab.send_metrics(service, *metrics)
    lab.send_metrics(service, *one_of_each(**times), encoding="json")
    lab.send_metrics(service, *one_of_each(attrs={"another": "series"}, start_time_unix_nano=1))
    for kind in MetricKind:
        assert len(lab.rows(f"otel_metrics_{kind}", service, 5)) == 5
        assert lab.counted(f"otel_metrics_{kind}", service) == 2


def test_increases_of_sums(lab: Lab, service: str) -> None:
    """Delta as they are; cumulative from start to start, also where a counter began anew without saying so."""
    now, second = time.time_ns(), 10**9

    def at(seconds: int, value: float, start: int = 1, **fields: Any) -> Any:
        started = now + (start - 1) * second if start else 0
        return number(value, time_unix_nano=now + seconds * second, start_time_unix_nano=started, **fields)

    lab.send_metrics(
        service,
        total(at(1, 5.0), at(2, 2.0), temporality=1, name="delta"),
        total(at(2, 8.0), at(1, 5.0), at(9, 3.0, start=8), at(3, 0.0, flags=1), name="two starts"),
        total(at(1, 100.0, start=0), at(2, 107.0, start=0), at(3, 2.0, start=0), name="no start"),
        total(at(1, 5.0), at(2, 3.0), monotonic=False, name="up and down"),
        total(at(1, 5.0), name="two series"),
        total(at(1, 7.0, attrs={"k": 1}), name="two series"),
        histogram(buckets([2, 1], time_unix_nano=now + 1, start_time_unix_nano=now, sum=9.0), name="h"),
        histogram(buckets([2, 3], time_unix_nano=now + 2, start_time_unix_nano=now, sum=20.0), name="h"),
    )
    lab.rows("otel_metrics_sum", service, 13)
    question = (
        "SELECT MetricName AS Name, groupArray(Increase) AS Increases FROM "
        "(SELECT * FROM otel_metrics_sum_increases WHERE ServiceName = {s:String} ORDER BY TimeUnix, Value) "
        "GROUP BY Name ORDER BY Name"
    )
    assert {row["Name"]: row["Increases"] for row in lab.query(question, service)} == {
        "delta": [5, 2],
        "two starts": [5, 3, 3],
        "no start": [0, 7, 2],
        "up and down": [5, -2],
        "two series": [5, 7],
    }
    lab.rows("otel_metrics_histogram", service, 2)
    question = (
        "SELECT CountIncrease, SumIncrease FROM otel_metrics_histogram_increases "
        "WHERE ServiceName = {s:String} ORDER BY TimeUnix"
    )
    assert [tuple(row.values()) for row in lab.query(question, service)] == [(3, 9), (2, 11)]
