"""Answers that stay small: texts cut to a line, amounts without their zeros, pages by position."""

from collections.abc import Sequence
from typing import Annotated, Final, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from collector.errors import Reason, Rejected
from collector.model.json_text import json_bytes

_T = TypeVar("_T")

MAX_LINE: Final = 160
_MAX_PAGE_BYTES: Final = 24 * 1024
_CUT: Final = "…"


def line(text: str | None, length: int = MAX_LINE) -> str:
    """The beginning of a text."""
    return "" if not text else text if len(text) <= length else text[: length - 1] + _CUT


def usd(cost: str | None) -> str | None:
    """An amount without the zeros at its end."""
    if cost is None or "." not in cost:
        return cost
    return cost.rstrip("0").rstrip(".")


def seconds(nanoseconds: int) -> float:
    return round(nanoseconds / 10**9, 6)


def page(rows: Sequence[_T], position: int, limit: int) -> tuple[list[_T], str | None]:
    """The rows from a position on, as many as are wanted and as an answer takes, and the cursor of those after them."""
    shown: list[_T] = []
    size = 0
    for row in rows[position : position + limit]:
        size += len(json_bytes(row))
        if shown and size > _MAX_PAGE_BYTES:
            break
        shown.append(row)
    following = position + len(shown)
    return shown, str(following) if following < len(rows) else None


def whole(lowest: int, highest: int) -> BeforeValidator:
    """A whole number of a range."""

    def validate(value: object, info: ValidationInfo) -> object:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            sentence = f"{info.field_name}={str(value)[:40]!r} is not a whole number from {lowest} to {highest}."
            raise Rejected(Reason.MALFORMED, sentence)
        return value

    return BeforeValidator(validate)


def limit_of(highest: int) -> WithJsonSchema:
    return WithJsonSchema({"type": "integer", "minimum": 1, "maximum": highest})


def _position(value: object, info: ValidationInfo) -> int:
    written = str(value or "0")
    if not written.isascii() or not written.isdecimal() or len(written) > 9:
        raise Rejected(Reason.MALFORMED, f"{info.field_name}={written[:60]!r} is not the next_cursor of an answer.")
    return int(written)


def _written(value: object) -> object:
    """Amounts as they are written: operations take no binary fractions."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Amount = Annotated[str | None, BeforeValidator(_written), WithJsonSchema({"type": ["number", "string"], "minimum": 0})]
Position = Annotated[int, BeforeValidator(_position), WithJsonSchema({"type": "string"})]
Usd = Annotated[str | None, Field(description="USD; null where no price is known.")]
NextCursor = Annotated[str | None, Field(description="The cursor of the next page; null on the last.")]
