"""The `spanmeter` command."""

from collector.runtime import share_one_allocator

share_one_allocator()

from collector.cli.entry import main  # noqa: E402 - loads Arrow

__all__ = ["main"]
