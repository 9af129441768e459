"""Metrics as text: those of this process, and beside them those of its receiver processes."""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from operator import attrgetter
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from collector.telemetry.catalogue import CATALOGUE
from collector.telemetry.definition import Kind, Metric, Sample

_OF_RECEIVERS: Final = frozenset(metric.name for metric in CATALOGUE if metric.receiver)


class Watched(Collector):
    """The samples that `readings` answers, whenever it is collected."""

    def __init__(self, readings: Callable[[], Iterable[Sample]]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Family]:
        for metric, samples in groupby(self._readings(), attrgetter("metric")):
            yield _family(metric, samples)


def _family(metric: Metric, samples: Iterable[Sample]) -> Family:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for sample in samples:
        family.add_metric(sample.labels, sample.value)
    return family


def expose(registry: CollectorRegistry, workers: Mapping[str, str]) -> bytes:
    """The metrics of `registry` as text, and beside them those of receiver processes, labelled with `worker`.

    `workers` holds each one's own text. Of it, only what the catalogue has for receivers is taken: they have no store.
    """
    families = {family.name: family for family in registry.collect()}
    for worker, text in workers.items():
        for family in text_string_to_metric_families(text):
            if family.name in _OF_RECEIVERS:
                merged = families.setdefault(family.name, Family(family.name, family.documentation, family.type))
                for sample in family.samples:
                    merged.samples.append(sample._replace(labels={**sample.labels, "worker": worker}))
    merged_registry = CollectorRegistry()
    merged_registry.register(_Collected(families.values()))
    return generate_latest(merged_registry)


class _Collected(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families
