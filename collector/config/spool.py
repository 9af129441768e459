"""Settings of the durable queue on disk."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ByteSize

from collector.config.settings import Duration, Section, setting

# YAML 1.1 reads a bare `off` as false.
Fsync = Annotated[
    Literal["always", "interval", "off"], BeforeValidator(lambda value: "off" if value is False else value)
]

# Larger inserts are merged less often, by the embedded engine at our cost; with a server, their memory matters more.
_EMBEDDED_SEGMENT, _SERVER_SEGMENT = 32 << 20, 16 << 20


class SpoolConfig(Section):
    fsync: Fsync = setting(
        "always", "When data is forced to disk: before every answer, every fsync_interval, or never."
    )
    fsync_interval: Duration = setting("500ms", "Used by `fsync: interval`.", gt=0)
    max_bytes: ByteSize = setting("8GiB", "Refuse new data when the spool holds this much.", ge=1024)
    min_free_bytes: ByteSize = setting("256MiB", "Refuse new data when the disk has less than this free.")
    segment_max_bytes: ByteSize | None = setting(
        None, "Seal a segment (one insert) at this size; default: 32MiB, with a server 16MiB.", ge=1024
    )
    segment_max_spans: int = setting(50_000, "Seal a segment at this many spans.", ge=1)
    flush_interval: Duration = setting("1s", "Hand waiting spans to the store after this long at the latest.")
    dead_letter_max_bytes: ByteSize = setting("1GiB", "Stop draining when the dead letter holds this much.", ge=0)

    @property
    def segment_bytes(self) -> int:
        """`segment_max_bytes`, or its default with the embedded engine."""
        return self.segment_max_bytes or _EMBEDDED_SEGMENT

    def with_defaults_for(self, *, embedded: bool) -> "SpoolConfig":
        """These settings, with the default that suits the store where `segment_max_bytes` is not set."""
        if embedded or self.segment_max_bytes:
            return self
        return self.model_copy(update={"segment_max_bytes": ByteSize(_SERVER_SEGMENT)})
