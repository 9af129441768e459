"""spanmeter: an OpenTelemetry daemon for LLM and agent traces."""

__version__ = "0.1.0"

# The day of this version, UTC: no clock that is right is before it. Moved on with the version.
RELEASED = "2026-11-28"
