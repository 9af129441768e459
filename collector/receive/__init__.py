"""OTLP in: wire rules, status codes, encodings, limits. Knows nothing about storage."""
