"""What each span means and costs. Columnar at the edges, pure; conventions and prices are data."""

from collector.enrich.enricher import NATIVE, Enricher, Reading
from collector.enrich.seen import SEEN_SCHEMA, Judgement

try:
    from collector.enrich._traces import RecentTraces

    NATIVE_TRACES = True
except ImportError:  # installed where nothing compiles
    from collector.enrich.traces import RecentTraces  # type: ignore[assignment]

    NATIVE_TRACES = False

__all__ = ["NATIVE", "NATIVE_TRACES", "SEEN_SCHEMA", "Enricher", "Judgement", "Reading", "RecentTraces"]
