"""What a process and its children use, watched from outside: nothing is asked of the process itself."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import psutil

T = TypeVar("T")

# Longer than a collector holds spans back to send them in batches.
_QUIET_SECONDS = 1.5
_QUIET_SHARE = 0.06
_PAUSE = 0.2


def in_own_process(work: Callable[..., T], *arguments: object) -> T:
    """The engine makes its own place that of the temporary files of a process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


class Tree:
    """A process with its descendants."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu_seconds(self) -> float:
        """User and system time so far, of children that ended too."""
        own = self._root.cpu_times()
        total = own.user + own.system + own.children_user + own.children_system
        for process in self._root.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return float(total)

    def rss_mib(self) -> float:
        """Resident memory now."""
        total = 0
        for process in [self._root, *self._root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
        return total / 2**20

    def wait_until_quiet(self, seconds: float = 300.0) -> float:
        """Wait until the tree has used next to no CPU for a while; its CPU seconds when that began."""
        end = time.monotonic() + seconds
        since, used = time.monotonic(), self.cpu_seconds()
        last = used
        while time.monotonic() < end:
            time.sleep(_PAUSE)
            now = self.cpu_seconds()
            if now - last > _QUIET_SHARE * _PAUSE:
                since, used = time.monotonic(), now
            elif time.monotonic() - since >= _QUIET_SECONDS:
                return used
            last = now
        raise TimeoutError(f"the process is still busy after {seconds} s")


@contextlib.contextmanager
def peak(read: Callable[[], float], every: float = 0.2) -> Iterator[list[float]]:
    """The largest of samples of `read` until the block ends, as the only element of the list."""
    highest, done = [read()], threading.Event()

    def watch() -> None:
        while not done.wait(every):
            highest[0] = max(highest[0], read())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield highest
    finally:
        done.set()
        thread.join()


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll `condition`. Raises TimeoutError naming `what`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.05)
