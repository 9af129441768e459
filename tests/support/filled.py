"""Rows of every kind in a store, made by the engine: not what anything would send, but of each column's type."""

from collector.store import Store
from collector.store.sql import named_query

_COLUMNS = """
SELECT name, type FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')
ORDER BY position
"""
# By how the name of a type begins, without LowCardinality and Nullable.
_VALUES = {
    "String": "concat({prefix:String}, toString(number))",
    "DateTime": "toDateTime64('2026-11-01 00:00:00', 9, 'UTC') + toIntervalHour(number)",
    "Date": "toDate('2026-11-01') + intDiv(number, 24)",
    "Bool": "number % 2 = 1",
    **dict.fromkeys(("UInt", "Int", "Float", "Decimal"), "number % 100"),
}


def own_tables(store: Store) -> list[str]:
    """The tables with rows that are not made of others."""
    return [row["Table"] for row in store.query(named_query("copied_tables"), {}).to_pylist()]


def fill(store: Store, rows: int = 60, prefix: str = "") -> None:
    """Put so many rows into each of them, their texts with a prefix. Columns of maps and arrays have their defaults."""
    for table in own_tables(store):
        made = {
            row["name"]: value
            for row in store.query(_COLUMNS, {"table": table}).to_pylist()
            if (value := _value(row["type"]))
        }
        names = ", ".join(f"`{name}`" for name in made)
        made_rows = f"SELECT {', '.join(made.values())} FROM numbers({rows})"
        store.command(f"INSERT INTO {table} ({names}) {made_rows}", {"prefix": prefix})


def _value(kind: str) -> str:
    for wrapper in ("LowCardinality(", "Nullable("):
        kind = kind.removeprefix(wrapper)
    return next((value for begin, value in _VALUES.items() if kind.startswith(begin)), "")
