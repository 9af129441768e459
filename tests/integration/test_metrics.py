"""What a running daemon exposes is what the catalogue lists: no metric more, none less, each of its type and labels."""

from pathlib import Path

import pytest
from prometheus_client import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from collector.telemetry import Metric, catalogue
from collector.telemetry.definition import Appears
from tests.support.daemon import Daemon


def exposed(directory: Path, processes: int) -> dict[str, Family]:
    """What a daemon that has received nothing exposes, by name."""
    daemon = Daemon(directory, f"processes={processes}")
    daemon.start()
    try:
        daemon.wait_until_ready()
        families = list(text_string_to_metric_families(daemon.get("/metrics")[1].decode()))
    finally:
        daemon.stop()
    assert len({family.name for family in families}) == len(families)
    return {family.name: family for family in families}


def has_samples(metric: Metric, processes: int) -> bool:
    return metric.appears is Appears.AT_START or (metric.appears is Appears.WITH_PROCESSES and processes > 1)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_the_catalogue_is_what_is_exposed(tmp_path: Path, processes: int) -> None:
    families = exposed(tmp_path / "data", processes)
    listed = {metric.name: metric for metric in catalogue.CATALOGUE}
    absent = {name for name, metric in listed.items() if processes == 1 and metric.appears is Appears.WITH_PROCESSES}
    assert set(families) == set(listed) - absent
    for name, family in families.items():
        metric = listed[name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert bool(family.samples) == has_samples(metric, processes), name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        workers = {"worker"} if processes > 1 and metric.receiver and family.samples else set()
        assert labels == (set(metric.labels) if family.samples else set()) | workers, name
