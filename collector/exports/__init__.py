"""Stored spans as documents that leave: OTLP, JSON, a page, Markdown, files. Pure."""
