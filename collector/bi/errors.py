"""Failures as ClickHouse's clients know them: a number, a name, a sentence, and a status of HTTP."""

from typing import Final

_BAD = (
    6, 25, 26, 27, 32, 33, 36, 38, 41, 43, 44, 53, 62, 69, 70, 72, 117, 130, 131, 167, 168, 306, 321, 427, 457, 718,
)  # fmt: skip
_UNKNOWN = (46, 47, 50, 60, 63, 73, 78, 81, 82, 115, 372)
_FORBIDDEN = (192, 193, 497, 512, 516)
_STATUS: Final = (
    dict.fromkeys(_BAD, 400)
    | dict.fromkeys(_UNKNOWN, 404)
    | dict.fromkeys(_FORBIDDEN, 403)
    | {48: 501, 159: 408, 209: 408, 202: 503, 210: 503, 439: 503}
    | {229: 413}
)


class QueryError(Exception):
    """A query that fails; `str()` is the text between ClickHouse's prefix and its name."""

    def __init__(self, code: int, name: str, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.code, self.name = code, name
        self.status = status or _STATUS.get(code, 500)

    def message(self, version: str) -> str:
        """As a server of ClickHouse words it."""
        return f"Code: {self.code}. DB::Exception: {self} ({self.name}) (version {version})"


def refused(what: str) -> QueryError:
    """Something that is no business of a reader."""
    return QueryError(497, "ACCESS_DENIED", f"{what} This interface reads the documented tables and views only.")


def read_only(what: str) -> QueryError:
    """A statement that would change something."""
    return QueryError(164, "READONLY", f"Cannot execute query in readonly mode: {what}.")


def unknown_table(name: str) -> QueryError:
    return QueryError(60, "UNKNOWN_TABLE", f"Unknown table expression identifier '{name}'.")


def syntax_error(what: str) -> QueryError:
    return QueryError(62, "SYNTAX_ERROR", f"Syntax error: {what}")
