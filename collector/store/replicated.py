"""The statements of this version for a database of ClickHouse's engine `Replicated`.

Such a database carries definitions of tables and views to every replica itself, so a statement runs on one of them. The
tables have to be of replicated engines for their rows to follow.
"""

import re
from typing import Final

from clickhouse_connect.driver.binding import format_str, quote_identifier

ENGINE: Final = "Replicated"
_PLAIN_ENGINE: Final = re.compile(r"^(ENGINE = )(\w*MergeTree)\b", re.MULTILINE)
_PLAIN_WINDOW: Final = re.compile(r"\bnon_replicated_deduplication_window = (\d+)")
# A segment may wait so long in a spool before it is inserted again under its token.
_WINDOW_SECONDS: Final = 30 * 86_400


def create_database(name: str, cluster: str) -> str:
    """The statement that makes the database where it is not there, on all servers of `cluster` unless that is empty."""
    statement = f"CREATE DATABASE IF NOT EXISTS {quote_identifier(name)}"
    if not cluster:
        return statement
    path = format_str(f"/clickhouse/databases/{name}")
    return f"{statement} ON CLUSTER {quote_identifier(cluster)} ENGINE = {ENGINE}({path}, '{{shard}}', '{{replica}}')"


def replicated(statement: str) -> str:
    """The same table with its rows on every replica; any other statement as it is."""
    window = rf"replicated_deduplication_window = \1, replicated_deduplication_window_seconds = {_WINDOW_SECONDS}"
    return _PLAIN_WINDOW.sub(window, _PLAIN_ENGINE.sub(rf"\1{ENGINE}\2", statement))
