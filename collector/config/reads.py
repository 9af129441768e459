"""Settings of what pages and REST may ask of the store."""

import os

from pydantic import ByteSize

from collector.config.settings import Duration, Section, setting


class ReadsConfig(Section):
    max_execution_time: Duration = setting("30s", "Longest that one question to the store runs.", gt=0)
    max_memory_usage: ByteSize = setting("512MiB", "Memory of one question to the store.", ge=16 * 1024 * 1024)
    max_result_rows: int = setting(
        1_000_000, "Rows that one question may be answered with; a run of 100,000 spans is so many.", ge=200_000
    )
    max_concurrent_queries: int | None = setting(
        None,
        "Questions that run at once in the embedded store; others wait for their turn. Default: one for every core.",
        ge=1,
        le=64,
    )
    max_threads: int | None = setting(
        None, "Threads of one question in the embedded store. Default: one for every two cores.", ge=1, le=64
    )

    @property
    def concurrent(self) -> int:
        """`max_concurrent_queries`, or its default."""
        return self.max_concurrent_queries or os.cpu_count() or 1

    @property
    def threads(self) -> int:
        """`max_threads`, or its default."""
        return self.max_threads or max(1, (os.cpu_count() or 1) // 2)
