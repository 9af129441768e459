"""Sessions of coding agents: rows of spans made of the log events that tell of them. Pure."""

from collector.enrich.sessions.events import Event, Sources, sources
from collector.enrich.sessions.rows import DERIVED_SCOPE, batch_of, derived

__all__ = ["DERIVED_SCOPE", "Event", "Sources", "batch_of", "derived", "sources"]
