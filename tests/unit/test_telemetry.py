"""One page of metrics for several processes."""

import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collector.model.envelope import Signal
from collector.telemetry import Metrics, Sample, catalogue, expose
from collector.telemetry.definition import Kind


def test_without_workers_it_is_the_registry_as_it_stands() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.accepted[Signal.TRACES].labels("grpc").inc(3)
    assert expose(metrics.registry, {}) == generate_latest(metrics.registry)


def test_samples_of_workers_stand_beside_ours_in_one_family() -> None:
    ours, theirs = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    ours.repaired_strings.inc(1)
    ours.stored[Signal.TRACES].inc(7)
    theirs.repaired_strings.inc(2)
    theirs.accepted[Signal.TRACES].labels("grpc").inc(3)
    text = generate_latest(theirs.registry).decode()
    merged = expose(ours.registry, {"0": text, "1": text, "2": ""}).decode()
    families = list(text_string_to_metric_families(merged))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert merged.count("# TYPE spanmeter_receiver_repaired_strings_total counter") == 1
    found = {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}
    name = "spanmeter_receiver_repaired_strings_total"
    assert [found[name, labels] for labels in ((), (("worker", "0"),), (("worker", "1"),))] == [1, 2, 2]
    accepted = "spanmeter_receiver_accepted_spans_total"
    assert found[accepted, (("transport", "grpc"), ("worker", "1"))] == 3
    stored = [labels for name, labels in found if name == "spanmeter_drain_stored_spans_total"]
    assert stored == [()]  # a worker stores nothing, and says nothing of it


def test_the_catalogue_names_each_metric_once_and_explains_its_labels() -> None:
    names = [metric.name for metric in catalogue.CATALOGUE]
    assert len(names) == len(set(names))
    for metric in catalogue.CATALOGUE:
        assert getattr(catalogue, metric.name.removeprefix("spanmeter_").upper()) is metric
        assert set(metric.labels) <= set(catalogue.LABELS), metric.name
        assert metric.help.endswith("."), metric.name
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM), metric.name


def test_a_sample_has_a_value_for_each_label_of_its_metric() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        Sample(catalogue.RECEIVER_CONNECTIONS, 1)
    with pytest.raises(ValueError, match="has the labels"):
        Sample(catalogue.SPOOL_BYTES, 1, ("grpc",))


def test_samples_of_one_metric_are_one_family() -> None:
    metrics = Metrics(CollectorRegistry())
    refused = catalogue.RECEIVER_REFUSED_CONNECTIONS
    samples = [Sample(refused, 2, ("grpc",)), Sample(refused, 0, ("http",)), Sample(catalogue.LEASES_OPEN, 3)]
    metrics.watch(lambda: samples)
    text = expose(metrics.registry, {}).decode()
    assert text.count("# TYPE spanmeter_receiver_refused_connections_total counter") == 1
    assert 'spanmeter_receiver_refused_connections_total{transport="grpc"} 2.0\n' in text
    assert 'spanmeter_receiver_refused_connections_total{transport="http"} 0.0\n' in text
    assert "# TYPE spanmeter_leases_open gauge\nspanmeter_leases_open 3.0\n" in text


_FAILING = """
import structlog
from collector.telemetry import set_up_logs
set_up_logs("info", "{log_format}")
def store(request):
    raise ValueError("it failed")
try:
    store("jane" + "@" + "example.com")
except ValueError:
    structlog.get_logger("spanmeter").exception("A request failed.")
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_errors_are_logged_without_what_they_were_about(log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAILING.format(log_format=log_format)], capture_output=True, text=True, check=True
    )
    assert "ValueError: it failed" in done.stderr
    assert "jane@" not in done.stderr
