"""Sessions of coding agents: rows of spans made of the log events that tell of them. Pure."""

from collector.enrich.sessions.events import Event, Sources, sources
from collector.enrich.sessions.rows import Row, batch_of, derived, withdrawn

__all__ = ["Event", "Row", "Sources", "batch_of", "derived", "sources", "withdrawn"]
