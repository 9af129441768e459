"""ClickHouse's named statements. Values are bound as server-side parameters."""

from collector.schema import statement


def named_query(name: str) -> str:
    """The statement in `schema/queries/NAME.sql`."""
    return statement("queries", name)
