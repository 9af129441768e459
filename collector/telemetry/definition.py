"""What a metric is: an entry of the catalogue, and a value of one."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Prometheus' types, as they are written in a `# TYPE` line."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Appears(StrEnum):
    """When a metric has samples. Until then its name, type and help may be exposed alone."""

    AT_START = "at start"
    AT_FIRST_EVENT = "at the first event"
    WITH_PROCESSES = "with `processes` above 1"


@dataclass(frozen=True)
class Metric:
    """An entry of the catalogue. `name` is without the `_total` that Prometheus appends to counters."""

    name: str
    kind: Kind
    help: str
    unit: str = ""  # "" for a state that is 0 or 1
    labels: tuple[str, ...] = ()
    appears: Appears = Appears.AT_START
    receiver: bool = False  # receiver processes have it too; theirs is exposed with the label `worker`
    buckets: tuple[float, ...] = ()  # upper bounds, of a histogram

    @property
    def exposed_name(self) -> str:
        """The name of its samples; a histogram's have a suffix after it."""
        return f"{self.name}_total" if self.kind is Kind.COUNTER else self.name


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of a metric now, for one value of each of its labels, in the catalogue's order."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.metric.labels):
            raise ValueError(f"{self.metric.name} has the labels {self.metric.labels}, not {len(self.labels)} of them.")
