"""spanmeter: an OpenTelemetry daemon for LLM and agent traces."""

__version__ = "0.1.0"
