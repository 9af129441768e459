"""Settings of what pages and REST may ask of the store."""

from pydantic import ByteSize

from collector.config.settings import Duration, Section, setting


class ReadsConfig(Section):
    max_execution_time: Duration = setting("30s", "Longest that one question to the store runs.", gt=0)
    max_memory_usage: ByteSize = setting("512MiB", "Memory of one question to the store.", ge=16 * 1024 * 1024)
    max_result_rows: int = setting(
        1_000_000, "Rows that one question may be answered with; a run of 100,000 spans is so many.", ge=200_000
    )
