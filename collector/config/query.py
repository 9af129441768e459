"""Settings of the ClickHouse interface for BI tools."""

import os

from pydantic import ByteSize, model_validator

from collector.config.receivers import TlsConfig, max_connections
from collector.config.settings import Duration, Endpoint, Section, is_loopback, section, setting


class QueryConfig(Section):
    endpoint: Endpoint = setting(
        "127.0.0.1:8123", "host:port of the ClickHouse interface to the embedded store, read-only, for BI tools."
    )
    enabled: bool = setting(True, "Open the port. With a ClickHouse server as the store there is none: ask the server.")
    max_connections: int = max_connections(256)
    tls: TlsConfig = section(TlsConfig, "TLS for this port.")
    max_concurrent_queries: int | None = setting(
        None,
        "Queries that run at once; others wait for their turn. Default: one for every two cores, 1 to 4.",
        ge=1,
        le=64,
    )
    queue_timeout: Duration = setting("30s", "Longest that a query waits for its turn; then it is refused.")
    max_execution_time: Duration = setting("60s", "Longest that one query runs; a client may ask for less.", gt=0)
    max_memory_usage: ByteSize = setting(
        "200MiB", "Memory of one query; grouping and sorting beyond half of it go to disk.", ge=16 * 1024 * 1024
    )
    max_result_rows: int = setting(10_000_000, "Rows of one result.", ge=1)
    max_query_size: ByteSize = setting("256KiB", "Longest query, with its parameters, once unpacked.", ge=1024)
    max_threads: int | None = setting(
        None, "Threads of one query. Default: so many that all queries together leave ingest a core.", ge=1, le=64
    )

    write_door: bool = setting(
        False,
        "For tests of server mode: tokens with the scope query:write run any statement, as on a ClickHouse server, and "
        "so read and write all that this process may.",
    )

    @model_validator(mode="after")
    def _writes_stay_here(self) -> "QueryConfig":
        if self.write_door and not is_loopback(self.endpoint):
            raise ValueError(
                f"write_door is for tests, and endpoint is {self.endpoint}, which other machines can reach. "
                "Bind 127.0.0.1, or use a ClickHouse server"
            )
        return self

    @property
    def concurrent(self) -> int:
        """`max_concurrent_queries`, or its default."""
        return self.max_concurrent_queries or min(4, max(1, (os.cpu_count() or 1) // 2))

    @property
    def threads(self) -> int:
        """`max_threads`, or its default."""
        return self.max_threads or max(1, ((os.cpu_count() or 1) - 1) // self.concurrent)
