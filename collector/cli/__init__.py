"""The `spanmeter` command."""

import os

# One allocator for all buffers, set before Arrow is loaded: what one stage frees, the next one uses.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

from collector.cli.entry import main

__all__ = ["main"]
