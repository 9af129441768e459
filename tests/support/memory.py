"""How much memory another process needs."""

import contextlib
import threading
from collections.abc import Iterator

import psutil

MIB = 1024 * 1024


class Growth:
    """Resident memory at the start of a block and its peak since."""

    def __init__(self, base: int) -> None:
        self.base = self.peak = base

    @property
    def mib(self) -> float:
        return (self.peak - self.base) / MIB


@contextlib.contextmanager
def growth_of(pid: int) -> Iterator[Growth]:
    """What the process gains at most while the block runs."""
    process = psutil.Process(pid)
    result = Growth(process.memory_info().rss)
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            result.peak = max(result.peak, process.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()
