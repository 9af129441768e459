"""The interpreter and its allocators, set for a process that runs for months and moves gigabytes."""

import contextlib
import ctypes
import gc
import resource
import sys

import pyarrow as pa

# glibc's mallopt(3). An arena a thread, its default, keeps freed buffers of each thread apart.
_M_ARENA_MAX = -8
_ARENAS = 2

# Requests and batches leave no cycles; looking for them among everything that was imported costs as much as a request.
_YOUNG_OBJECTS = 50_000

# The drain's thread computes for tens of milliseconds; so long at most does a request wait for it, each time it has to.
_SWITCH_SECONDS = 0.0005

# Four times the connections that all ports take by default, and rarely more than one may ask for.
_FILES = 65_536


def settle_down() -> None:
    """Call once, after the imports and before threads are started."""
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.set_threshold(_YOUNG_OBJECTS, 20, 100)
    # One allocator for all buffers: what one stage frees, the next one uses.
    pa.set_memory_pool(pa.system_memory_pool())
    _may_open_more_files()
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # elsewhere than on glibc there is none, and no need
    if mallopt:
        mallopt(_M_ARENA_MAX, _ARENAS)


def _may_open_more_files() -> None:
    """Ask for more than the 1,024 files that programs get which know only select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit below the one it tells
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
