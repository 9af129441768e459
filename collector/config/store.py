"""Settings of ClickHouse."""

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ByteSize, model_validator

from collector.config.settings import Duration, Section, setting

# Each day that spans start on is a partition, with parts of its own.
_MAX_DAYS = 400 * 86_400


class StoreConfig(Section):
    url: str = setting(
        "chdb://", "chdb:///path (embedded; `chdb://` alone means DATA_DIR/store) or http(s)://user:password@host:8123."
    )
    database: str = setting("otel", "ClickHouse database.", pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$")
    cluster: str = setting(
        "",
        "A cluster of the server: the database is then made on it as a replicated one, and every table has all rows on "
        "every replica. The server needs Keeper and the macros shard and replica.",
        pattern="^[A-Za-z0-9_.-]{0,64}$",
    )
    ttl: Duration = setting("35d", "Delete spans this long after they were received; 0s keeps them for ever.")
    logs_ttl: Duration = setting(
        "35d", "Delete log records this long after they were received; 0s keeps them for ever."
    )
    metrics_ttl: Duration = setting(
        "35d", "Delete metric points this long after they were received; 0s keeps them for ever."
    )
    evaluations_ttl: Duration = setting(
        "400d", "Delete evaluations this long after they were found; 0s keeps them for ever."
    )
    max_future: Duration = setting(
        "7d",
        "Spans that start later than this after their arrival are stored at their arrival. Log records and metric "
        "points keep their time and share one partition.",
    )
    max_age: Duration | None = setting(
        None,
        "Of spans that started longer than this before their arrival, those of the first 32 days keep their time, "
        "others are stored on 1970-01-01; default: `store.ttl`, at most 400d. Log records and metric points keep their "
        "time and share one partition.",
    )
    content_ttl: Duration = setting(
        "0s",
        "Empty inputs, outputs and other content of spans, and the bodies of log records, this long after they were "
        "received (and up to a day more); 0s keeps them as long as their spans and records.",
        reloadable=True,
    )
    insert_timeout: Duration = setting("60s", "An insert or query that takes longer is retried.", gt=0)
    retry_max_interval: Duration = setting("30s", "Longest pause between attempts while the store is unavailable.")
    compression: Literal["lz4", "zstd", "none"] = setting("lz4", "How inserts to a server are compressed on the way.")
    backup_dir: Path | None = setting(
        None, "Where backups of the embedded store go, better on another disk; default: DATA_DIR/backups."
    )
    backup_bandwidth: ByteSize = setting(
        "64MiB",
        "Bytes a second that a backup copies at most, so that senders are answered in time where backups lie on the "
        "same disk; 0 for no limit.",
    )
    max_memory: ByteSize = setting("1GiB", "Memory the embedded engine may use.", ge=64 * 1024 * 1024)

    @model_validator(mode="after")
    def _known_scheme(self) -> "StoreConfig":
        if not self.url.startswith(("chdb://", "http://", "https://")):
            raise ValueError("url starts with chdb://, http:// or https://")
        if not self.embedded and not _names_a_server(self.url):
            raise ValueError(
                "url names no server, as http://user:password@host:8123 does; if the password has one of / ? # @ : %, "
                "write that as %2F %3F %23 %40 %3A %25"
            )
        return self

    @model_validator(mode="after")
    def _backups_have_one_place(self) -> "StoreConfig":
        if self.backup_dir and not self.backup_dir.is_absolute():
            raise ValueError("backup_dir is an absolute path: /mnt/backups/spanmeter")
        return self

    @model_validator(mode="after")
    def _clusters_are_of_servers(self) -> "StoreConfig":
        if self.cluster and self.embedded:
            raise ValueError("cluster needs a ClickHouse server: set url to http(s)://user:password@host:8123")
        return self

    @model_validator(mode="after")
    def _content_goes_first(self) -> "StoreConfig":
        if self.ttl and self.content_ttl > self.ttl:
            raise ValueError(
                "content_ttl is longer than ttl, which deletes the whole span; set it to 0s or less than ttl"
            )
        return self

    def ttls(self) -> dict[str, int]:
        """The TTLs of the tables in seconds, as `migrate` takes them."""
        return {
            "ttl_seconds": int(self.ttl),
            "logs_ttl": int(self.logs_ttl),
            "metrics_ttl": int(self.metrics_ttl),
            "evaluations_ttl": int(self.evaluations_ttl),
        }

    @property
    def oldest(self) -> float:
        """`max_age`, or its default, in seconds."""
        return min(self.ttl or _MAX_DAYS, _MAX_DAYS) if self.max_age is None else self.max_age

    def backups_in(self, directory: Path) -> Path:
        """`backup_dir`, or its default in the data directory `directory`."""
        return (self.backup_dir or directory / "backups").resolve()

    @property
    def embedded(self) -> bool:
        return self.url.startswith("chdb://")


def _names_a_server(url: str) -> bool:
    """Whether host and port can be told; a password that is not encoded ends the host early."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
    except ValueError:
        return False
