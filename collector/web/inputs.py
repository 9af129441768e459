"""Types of parameters and fields: how they are written, and the sentence for what they are not."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from collector.config import ATTRIBUTE
from collector.errors import Reason, Rejected
from collector.model.money import picodollars
from collector.model.times import unix_nano
from collector.web.operation import Input

_Choice = TypeVar("_Choice", bound=StrEnum)

MAX_PAGE_SIZE: Final = 1000
_MAX_ATTRIBUTES = 64
_MAX_TOKENS = 2**63 - 1
_MAX_SECONDS = 10**9
_SHOWN = 40
# The years of ClickHouse's DateTime.
_FIRST, _LAST = unix_nano("1971-01-01"), unix_nano("2106-01-01")


def _read(parse: Callable[[str, Any], Any]) -> BeforeValidator:
    """Values by `parse(name, value)`; null is as good as nothing."""

    def validate(value: object, info: ValidationInfo) -> object:
        return None if value is None else parse(info.field_name or "", value)

    return BeforeValidator(validate)


def text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise Rejected(Reason.MALFORMED, f"{name} is a string, not {str(value)[:_SHOWN]}.")
    return _whole(name, value)


def pico(name: str, value: object) -> int:
    """Picodollars, exactly as written."""
    sentence = f'{name}={str(value)[:_SHOWN]!r} is not an amount: a number or string such as "0.25", at least 0.'
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Rejected(Reason.MALFORMED, sentence)
    try:
        found = picodollars(value)
    except ValueError:
        raise Rejected(Reason.MALFORMED, sentence) from None
    if found < 0:
        raise Rejected(Reason.MALFORMED, sentence)
    return found


def tokens(name: str, value: object) -> int:
    try:
        number = Decimal(value) if isinstance(value, int | Decimal | str) and not isinstance(value, bool) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or not 0 <= number <= _MAX_TOKENS or number != int(number):
        raise Rejected(
            Reason.MALFORMED, f"{name}={str(value)[:_SHOWN]!r} is not a number of tokens: whole, at least 0."
        )
    return int(number)


def _seconds(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not 0 < value < _MAX_SECONDS:
        raise Rejected(Reason.MALFORMED, f"{name} is a number of seconds above 0, for example 600.")
    return float(value)


def _nanoseconds(name: str, value: object) -> int:
    """Seconds, with or without decimals, as whole nanoseconds."""
    try:
        seconds = Decimal(str(value))
    except InvalidOperation:
        seconds = Decimal(-1)
    if not seconds.is_finite() or not 0 <= seconds < _MAX_SECONDS:
        raise Rejected(Reason.MALFORMED, f"{name}={str(value)[:_SHOWN]!r} is not a number of seconds, for example 2.5.")
    return int(seconds * 10**9)


def _switch(name: str, value: object) -> bool:
    if value not in (True, False, "true", "false"):
        raise Rejected(Reason.MALFORMED, f"{name}={str(value)[:_SHOWN]!r} is neither true nor false.")
    return value in (True, "true")


def _attributes(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise Rejected(Reason.MALFORMED, f'{name} is an object of strings, for example {{"tenant": "acme"}}.')
    if len(value) > _MAX_ATTRIBUTES:
        raise Rejected(Reason.MALFORMED, f"{name} has {len(value)} keys; at most {_MAX_ATTRIBUTES} are allowed.")
    return {f"{ATTRIBUTE}{_whole(name, key)}": _whole(name, each) for key, each in value.items()}


def _instant(name: str, value: object) -> int:
    """Unix nanoseconds of ISO 8601, UTC when no zone is named."""
    written = text(name, value)
    try:
        moment = unix_nano(written)
        if _FIRST <= moment < _LAST:
            return moment
    except (ValueError, OverflowError):
        pass
    example = "2026-11-21T08:00:00Z"
    raise Rejected(Reason.MALFORMED, f"{name}={written[:_SHOWN]!r} is not a time; write for example {example}.")


def _page_size(name: str, value: object) -> int:
    written = str(value)
    if (
        not written.isascii()
        or not written.isdecimal()
        or not 1 <= int(written[:9]) <= MAX_PAGE_SIZE
        or len(written) > 9
    ):
        sentence = f"{name}={written[:_SHOWN]!r} is not a whole number from 1 to {MAX_PAGE_SIZE}."
        raise Rejected(Reason.MALFORMED, sentence)
    return int(written)


def _whole(name: str, value: str) -> str:
    """JSON can escape half a character, which no answer in UTF-8 could repeat."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Rejected(
            Reason.MALFORMED, f"{name}={value[:_SHOWN]!r} is not Unicode: half a surrogate pair stands alone."
        ) from None
    return value


_AMOUNT: Final = {"type": ["number", "string", "null"], "minimum": 0, "examples": ["0.25"]}
_COUNT: Final = {"type": ["integer", "string", "null"], "minimum": 0, "examples": [2000]}
_TIME: Final = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}

Text = Annotated[str | None, _read(text)]
Pico = Annotated[int | None, _read(pico), WithJsonSchema(_AMOUNT)]
TokenCount = Annotated[int | None, _read(tokens), WithJsonSchema(_COUNT)]
Seconds = Annotated[float | None, _read(_seconds), WithJsonSchema({"type": ["number", "null"], "exclusiveMinimum": 0})]
Nanoseconds = Annotated[
    int | None, _read(_nanoseconds), WithJsonSchema({"type": ["number", "null"], "minimum": 0, "examples": [2.5]})
]
Switch = Annotated[bool, _read(_switch), WithJsonSchema({"type": "boolean"})]
Attributes = Annotated[
    dict[str, str] | None,
    _read(_attributes),
    WithJsonSchema(
        {"type": ["object", "null"], "additionalProperties": {"type": "string"}, "maxProperties": _MAX_ATTRIBUTES}
    ),
]
Cursor = Annotated[str | None, BeforeValidator(lambda value: value or None)]
Instant = Annotated[int, _read(_instant), WithJsonSchema(_TIME)]
PageSize = Annotated[
    int, _read(_page_size), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE})
]


def one_of(kind: type[_Choice]) -> BeforeValidator:
    """A value of an enumeration. Nothing, and what is of it already, stays as it is."""

    def validate(value: object, info: ValidationInfo) -> object:
        if value is None or isinstance(value, kind):
            return value
        return choice(kind, str(value), info.field_name or "")

    return BeforeValidator(validate)


def choice(kind: type[_Choice], value: str, name: str) -> _Choice:
    """The value of an enumeration that the parameter `name` has. Raises Rejected(MALFORMED)."""
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(kind)
        raise Rejected(Reason.MALFORMED, f"{name}={value[:_SHOWN]!r} is not known; choose one of {known}.") from None


class Page(Input):
    """Lists come in pages: `limit` of them, after the `next` of the page before."""

    limit: PageSize = Field(100, description="How many at most.")
    after: Cursor = Field(None, description="The `next` of the page before; empty for the first.")
