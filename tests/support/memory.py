"""How much memory another process needs, with the processes that it has started."""

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
    """What the process and its children gain at most while the block runs."""
    tree = _tree(pid)
    result = Growth(_resident(tree))
    stop = threading.Event()

    def watch() -> None:
        found, samples = tree, 0
        while not stop.wait(0.005):
            samples += 1
            if not samples % _SAMPLES_A_TREE:
                found = _tree(pid)
            result.peak = max(result.peak, _resident(found))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield result
    finally:
        stop.set()
        thread.join()


# Looking for children reads every process of the machine.
_SAMPLES_A_TREE = 100


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _resident(tree: list[psutil.Process]) -> int:
    total = 0
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total
