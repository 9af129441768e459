"""The `spanmeter` command."""

from collector.cli.entry import main

__all__ = ["main"]
