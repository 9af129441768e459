"""The embedded engine's own configuration: small caches, few threads, no system log tables."""

import os
import time
from pathlib import Path
from xml.sax.saxutils import escape

# The engine's allocator keeps an arena a core, each with free pages of its own; inserts come one at a time. What an
# insert or a merge has freed goes back to the system after a second, not ten.
_ALLOCATOR = "narenas:2,percpu_arena:disabled,dirty_decay_ms:1000,muzzy_decay_ms:0,oversize_threshold:67108864"

# One merge at a time for every two cores: more would keep inserts and requests waiting, and each holds 100 MiB.
_MERGING = min(4, max(1, (os.cpu_count() or 2) // 2))

# Values in bytes unless the name says otherwise. chDB's defaults (5 GiB caches, 16 background threads) suit servers.
_SERVER_SETTINGS = {
    "mark_cache_size": 32 << 20,
    "index_mark_cache_size": 8 << 20,
    "primary_index_cache_size": 32 << 20,
    "uncompressed_cache_size": 0,
    "index_uncompressed_cache_size": 0,
    "mmap_cache_size": 64,
    "compiled_expression_cache_size": 4 << 20,
    "background_pool_size": _MERGING,
    "background_merges_mutations_concurrency_ratio": 1,
    "background_schedule_pool_size": 4,
    "background_fetches_pool_size": 1,
    "background_move_pool_size": 1,
    "background_common_pool_size": 2,
    "max_thread_pool_size": 200,
    "max_concurrent_queries": 100,
    # Each copies a file; they run beside inserts.
    "backup_threads": 2,
}

# Thresholds that ClickHouse checks against the size of the pool above, and a bound on the largest merge: a part of a
# gigabyte holds two million spans, and merging it once more costs as much as it took to receive and insert them.
_MERGE_SETTINGS = {
    "max_bytes_to_merge_at_max_space_in_pool": 1 << 30,
    "number_of_free_entries_in_pool_to_lower_max_size_of_merge": 1,
    "number_of_free_entries_in_pool_to_execute_mutation": 1,
    "number_of_free_entries_in_pool_to_execute_optimize_entire_partition": 1,
    # A merge costs a row as much as its insert. By default five parts are too many, and rows are merged over and over.
    "min_parts_to_merge_at_once": 15,
    # Statistics of every column, for the planner of joins; nothing here joins.
    "auto_statistics_types": "",
    # A merge holds a granule of each of its parts: by default, 10 MiB of each.
    "index_granularity_bytes": 2 << 20,
}

# Small parts are merged again sooner or later and have LZ4; large ones, by the engine's own estimate, have ZSTD.
_COMPRESSION = """
    <compression>
        <case>
            <min_part_size>268435456</min_part_size>
            <min_part_size_ratio>0</min_part_size_ratio>
            <method>zstd</method>
            <level>1</level>
        </case>
    </compression>
"""


def bound_allocator() -> None:
    """Bound the engine's free memory, unless the user does: the variable counts when the engine is first loaded."""
    os.environ.setdefault("JE_MALLOC_CONF", _ALLOCATOR)


def work_in_utc() -> None:
    """Make UTC the time zone of this process: the engine takes it when it is first loaded.

    A partition is a UTC day, and times are shown as they are stored. In another zone the engine also misses rows under
    `session_timezone`: it looks for partitions and keys by days and hours of the zone that they were not made in.
    """
    os.environ["TZ"] = "UTC"
    time.tzset()


def write_engine_config(path: Path, max_memory: int, backups: Path) -> Path:
    """Write the engine's XML configuration to `path`. Backups go below `backups`, and nowhere else."""
    lines = [f"    <{name}>{value}</{name}>" for name, value in _SERVER_SETTINGS.items()]
    lines.append(f"    <max_server_memory_usage>{max_memory}</max_server_memory_usage>")
    lines += ["    <merge_tree>", *(f"        <{name}>{value}</{name}>" for name, value in _MERGE_SETTINGS.items())]
    lines.append("    </merge_tree>")
    lines += ["    <backups>", f"        <allowed_path>{escape(str(backups))}</allowed_path>", "    </backups>"]
    path.write_text("<clickhouse>\n" + "\n".join(lines) + _COMPRESSION + "</clickhouse>\n", encoding="utf-8")
    return path
