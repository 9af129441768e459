"""Settings of ClickHouse."""

from typing import Literal

from pydantic import ByteSize, model_validator

from collector.config.settings import Duration, Section, setting


class StoreConfig(Section):
    url: str = setting(
        "chdb://", "chdb:///path (embedded; `chdb://` alone means DATA_DIR/store) or http(s)://user:password@host:8123."
    )
    database: str = setting("otel", "ClickHouse database.", pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    ttl: Duration = setting("35d", "Delete spans this long after they were received; 0s keeps them for ever.")
    insert_timeout: Duration = setting("60s", "An insert or query that takes longer is retried.", gt=0)
    retry_max_interval: Duration = setting("30s", "Longest pause between attempts while the store is unavailable.")
    compression: Literal["lz4", "zstd", "none"] = setting("lz4", "How inserts to a server are compressed on the way.")
    max_memory: ByteSize = setting("1GiB", "Memory the embedded engine may use.", ge=64 * 1024 * 1024)

    @model_validator(mode="after")
    def _known_scheme(self) -> "StoreConfig":
        if not self.url.startswith(("chdb://", "http://", "https://")):
            raise ValueError("url starts with chdb://, http:// or https://")
        return self

    @property
    def embedded(self) -> bool:
        return self.url.startswith("chdb://")
