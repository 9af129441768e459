"""Named SQL statements from `schema/`. SQL is never built from input: values are bound as server-side parameters."""

import functools

from collector.config import schema_root


@functools.cache
def named_query(name: str) -> str:
    """The statement in `schema/queries/NAME.sql`."""
    return (schema_root() / "queries" / f"{name}.sql").read_text(encoding="utf-8")


def statements(text: str) -> list[str]:
    """The statements of a migration file: separated by a semicolon at the end of a line, comments kept."""
    parts = (part.strip() for part in text.split(";\n"))
    return [part for part in parts if any(line and not line.startswith("--") for line in part.splitlines())]
