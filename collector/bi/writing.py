"""The write door: statements run as they come, as on a ClickHouse server. For tests of what writes to one."""

import re
import tempfile
from typing import Final

from collector.bi.catalog import literal, quoted
from collector.bi.errors import QueryError
from collector.bi.request import Asked
from collector.store.engine_handle import Counts, EngineHandle

_NAMED: Final = re.compile(r"(?P<rest>.*)\bFORMAT\s+(?P<format>\w+)[\s;]*\Z", re.IGNORECASE | re.DOTALL)
_SETTING: Final = re.compile(r"[A-Za-z_]\w*")


def run_as_written(asked: Asked, handle: EngineHandle) -> tuple[bytes, str, Counts]:
    """Run whatever is asked, with the settings of the request; the result, its format, and what it counts.

    Raises EngineError, QueryError.
    """
    handle.text(f"USE {quoted(asked.database or 'default')}")
    if asked.settings:
        handle.text("SET " + ", ".join(_change(name, value) for name, value in asked.settings.items()))
    named = _NAMED.match(asked.query)
    if asked.rows and named:
        return b"", "TabSeparated", _insert(asked, handle, named)
    form = asked.format(named["format"] if named else None)
    result, counts = handle.result(asked.query, form, asked.parameters)
    return result, form, counts


def _insert(asked: Asked, handle: EngineHandle, named: re.Match[str]) -> Counts:
    """Insert the rows that follow the statement; the engine reads them from a file."""
    with tempfile.NamedTemporaryFile(suffix=".rows") as file:
        file.write(asked.rows)
        file.flush()
        statement = f"{named['rest']} FROM INFILE {literal(file.name)} FORMAT {named['format']}"
        return handle.run(statement, asked.parameters)


def _change(name: str, value: str) -> str:
    if not _SETTING.fullmatch(name):
        raise QueryError(115, "UNKNOWN_SETTING", f"Unknown setting '{name[:80]}'.")
    return f"{name} = {literal(value)}"
