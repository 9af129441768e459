"""What each span means and costs. Columnar at the edges, pure; conventions and prices are data."""

from collector.enrich.enricher import Enricher, Reading
from collector.enrich.traces import Judgement, RecentTraces

__all__ = ["Enricher", "Judgement", "Reading", "RecentTraces"]
