"""Runs as files: what a handler answers, and the documents for people."""
