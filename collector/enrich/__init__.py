"""What each span means and costs. Columnar at the edges, pure; conventions and prices are data."""

from collector.enrich.billed.schema import SEEN_SCHEMA, Billed
from collector.enrich.enricher import NATIVE, Enricher, ReadBatch

try:
    from collector.enrich.billed._traces import RecentTraces

    NATIVE_TRACES = True
except ImportError:  # installed where nothing compiles
    from collector.enrich.billed.traces import RecentTraces  # type: ignore[assignment]

    NATIVE_TRACES = False

__all__ = ["NATIVE", "NATIVE_TRACES", "SEEN_SCHEMA", "Billed", "Enricher", "ReadBatch", "RecentTraces"]
