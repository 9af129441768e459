"""One segment into rows: its envelopes decoded by signal, inserted exactly once, and what is poison set aside."""

from collector.storing.dated import each
from collector.storing.decoding import Decoded, decoded
from collector.storing.delivery import Delivery, Postponed
from collector.storing.inserting import Inserter
from collector.storing.later import Later
from collector.storing.paths import SignalPath, TablePath, log_path, metric_path, span_path
from collector.storing.poison import Poison
from collector.storing.reading import Unreadable
from collector.storing.times import TimeLimits

__all__ = [
    "Decoded",
    "Delivery",
    "Inserter",
    "Later",
    "Poison",
    "Postponed",
    "SignalPath",
    "TablePath",
    "TimeLimits",
    "Unreadable",
    "decoded",
    "each",
    "log_path",
    "metric_path",
    "span_path",
]
