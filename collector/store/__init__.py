"""ClickHouse, embedded or a server. The only package that imports clickhouse_connect or chdb."""

from collector.store.client import ENGINE_NAMES, Store, embedded_path, open_store
from collector.store.migrate import migrate

__all__ = ["ENGINE_NAMES", "Store", "embedded_path", "migrate", "open_store"]
