"""docs/metrics.md, from the catalogue."""

from collections.abc import Iterator

from collector.docs.markdown import code, page, table
from collector.errors import Reason
from collector.telemetry import Metric, catalogue

_INTRODUCTION = """\
# Metrics

`GET /metrics` on the web port answers these in Prometheus' text format; it needs no token. Counters start at 0 with the
process. *Samples* says when a metric has its first one: with labels whose values are not known beforehand, that is once
something is counted under them.

With `processes` above 1 the receivers are processes of their own. The metrics marked in the column *worker* are theirs:
one sample a process, with the label `worker`. What the daemon's own process has of the same metric is without that
label; a sum over both is the whole daemon's."""


def render_metrics() -> str:
    """The text of docs/metrics.md."""
    titles = ("Metric", "Type", "Unit", "Labels", "Samples", "worker", "Meaning")
    metrics = table(titles, map(_row, catalogue.CATALOGUE))
    labels = table(("Label", "Meaning"), ((code(name), text) for name, text in sorted(catalogue.LABELS.items())))
    reasons = f"Values of `reason`: {', '.join(code(reason.value) for reason in Reason)}."
    return page(_INTRODUCTION, metrics, "## Labels", labels, reasons)


def _row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(map(code, metric.labels))
    worker = "yes" if metric.receiver else ""
    meaning = " ".join(_meaning(metric))
    return code(metric.exposed_name), metric.kind, metric.unit, labels, metric.appears, worker, meaning


def _meaning(metric: Metric) -> Iterator[str]:
    yield metric.help
    if metric.buckets:
        yield f"Buckets up to {', '.join(f'{bound:g}' for bound in metric.buckets)} and more."
