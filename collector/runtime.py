"""The interpreter and its allocators, set for a process that runs for months and moves gigabytes."""

import asyncio
import contextlib
import ctypes
import gc
import os
import resource
import sys
import time
from collections.abc import Mapping

# glibc's mallopt(3). An arena a thread, its default, keeps freed buffers of each thread apart.
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
# 32 MiB is the most that the documentation lets the first be.
_KEEP = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 128 << 20}

# Requests, batches and what budgets remember leave no cycles, and nothing else runs while they are looked for: so that
# is done seldom, and in no more than this part of the time.
_COLLECT_SECONDS = 600.0
_COLLECT_SHARE = 0.001

# The drain's thread computes for tens of milliseconds; so long at most does a request wait for it, each time it has to.
_SWITCH_SECONDS = 0.0005

# Four times the connections that all ports take by default, and rarely more than one may ask for.
_FILES = 65_536


def share_one_allocator() -> None:
    """Let what one stage frees be what the next one uses. Call once, before Arrow is loaded and any thread is started.

    Arenas that exist by then stay, and glibc gives them to every other thread: those consist of heaps of 64 MiB, each
    given back to the kernel whenever it is empty.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    _set_allocator({_ARENA_MAX: 1})


def configure_interpreter() -> None:
    """Call once, after the imports and before threads are started; then `collect_cycles` has to run."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.disable()
    _may_open_more_files()


def keep_freed_memory() -> None:
    """Let the buffers of a segment, which are freed together and soon asked for anew, cost no page faults.

    Up to 128 MiB stay with the process. With the embedded engine, whose memory is its own, that buys little.
    """
    _set_allocator(_KEEP)


async def collect_cycles(seconds: float = _COLLECT_SECONDS) -> None:
    """Free what only cycles hold, every so many seconds for ever; less often when there is much to look at."""
    pause = seconds
    while True:
        await asyncio.sleep(pause)
        started = time.perf_counter()
        gc.collect()
        pause = max(seconds, (time.perf_counter() - started) / _COLLECT_SHARE)


def _set_allocator(options: Mapping[int, int]) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # elsewhere than on glibc there is none, and no need
    if mallopt:
        for option, value in options.items():
            mallopt(option, value)


def _may_open_more_files() -> None:
    """Ask for more than the 1,024 files that programs get which know only select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit below the one it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
