"""One segment into rows: its envelopes decoded by signal, inserted exactly once, and what is poison set aside."""

from collector.storing.decoding import Decoded, decoded
from collector.storing.inserting import Inserter
from collector.storing.paths import SignalPath, span_path
from collector.storing.poison import Poison

__all__ = ["Decoded", "Inserter", "Poison", "SignalPath", "decoded", "span_path"]
