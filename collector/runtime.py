"""The interpreter and its allocators, set for a process that runs for months and moves gigabytes."""

import asyncio
import contextlib
import ctypes
import gc
import resource
import sys
import time

import pyarrow as pa

# glibc's mallopt(3). An arena a thread, its default, keeps freed buffers of each thread apart. A segment's buffers are
# freed together and soon asked for anew: what went back to the kernel meanwhile would be a page fault for each page.
# 32 MiB is the most that its documentation lets the second be.
_ARENA_MAX, _MMAP_THRESHOLD, _TRIM_THRESHOLD = -8, -3, -1
_ALLOCATOR = {_ARENA_MAX: 1, _MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 128 << 20}

# Requests, batches and what budgets remember leave no cycles, and nothing else runs while they are looked for: so that
# is done seldom, and in no more than this part of the time.
_COLLECT_SECONDS = 60.0
_COLLECT_SHARE = 0.001

# The drain's thread computes for tens of milliseconds; so long at most does a request wait for it, each time it has to.
_SWITCH_SECONDS = 0.0005

# Four times the connections that all ports take by default, and rarely more than one may ask for.
_FILES = 65_536


def settle_down() -> None:
    """Call once, after the imports and before threads are started; then `collect_cycles` has to run."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.disable()
    # One allocator for all buffers: what one stage frees, the next one uses.
    pa.set_memory_pool(pa.system_memory_pool())
    _may_open_more_files()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # elsewhere than on glibc there is none, and no need
    if mallopt:
        for option, value in _ALLOCATOR.items():
            mallopt(option, value)


async def collect_cycles(seconds: float = _COLLECT_SECONDS) -> None:
    """Free what only cycles hold, every so many seconds for ever; less often when there is much to look at."""
    pause = seconds
    while True:
        await asyncio.sleep(pause)
        started = time.perf_counter()
        gc.collect()
        pause = max(seconds, (time.perf_counter() - started) / _COLLECT_SHARE)


def _may_open_more_files() -> None:
    """Ask for more than the 1,024 files that programs get which know only select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit below the one it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
