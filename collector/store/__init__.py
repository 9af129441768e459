"""ClickHouse, embedded or a server. The only package that imports clickhouse_connect or chdb."""

from collector.store.client import Store, open_store
from collector.store.migrate import migrate

__all__ = ["Store", "migrate", "open_store"]
