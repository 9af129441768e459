"""One page of metrics for several processes."""

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collector.telemetry import Metrics, expose


def test_without_workers_it_is_the_registry_as_it_stands() -> None:
    metrics = Metrics(CollectorRegistry())
    metrics.accepted_spans.labels("grpc").inc(3)
    assert expose(metrics.registry, {}) == generate_latest(metrics.registry)


def test_samples_of_workers_stand_beside_ours_in_one_family() -> None:
    ours, theirs = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    ours.repaired_strings.inc(1)
    ours.stored_spans.inc(7)
    theirs.repaired_strings.inc(2)
    theirs.accepted_spans.labels("grpc").inc(3)
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
