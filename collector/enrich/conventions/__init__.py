"""Conventions as data: what a span says, whatever convention it says it in."""

from collector.enrich.conventions.reader import Conventions, load

__all__ = ["Conventions", "load"]
