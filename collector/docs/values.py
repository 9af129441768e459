"""What a setting's annotation says in words: its type, and the range of its values."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.fields import FieldInfo

from collector.config.settings import DURATION, MAX_DURATION, Written
from collector.docs.markdown import code

_NAMES: Final[dict[Any, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    Decimal: "decimal",
    Path: "path",
    ByteSize: "size",
    SecretStr: "secret",
    date: "date",
    datetime: "time",
}
_UNITS: Final = ((604_800, "w"), (86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def type_of(field: FieldInfo) -> str:
    """How a value of the setting is written."""
    return _type(field.annotation, field.metadata)


def range_of(field: FieldInfo) -> str:
    """Which values of that type are taken; empty when all are."""
    metadata = [*_flat(_optional(field.annotation)), *field.metadata]
    return ", ".join(
        part for part in (_numbers(metadata, type_of(field)), *_lengths(metadata), *_patterns(metadata)) if part
    )


def _type(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    written = next((mark.text for mark in metadata if isinstance(mark, Written)), None)
    return written or _composed(annotation) or _named(annotation)


def _composed(annotation: Any) -> str:
    arguments = get_args(annotation)
    match get_origin(annotation):
        case origin if origin is Annotated:
            return _type(arguments[0], arguments[1:])
        case origin if origin is Literal:
            return _one_of(arguments)
        case origin if origin in (Union, UnionType):
            return " or ".join(_type(part) for part in arguments if part is not NoneType)
        case origin if origin is tuple:
            return f"list ({_type(arguments[0])})"
        case origin if origin is dict:
            return f"mapping ({_type(arguments[0])}: {_type(arguments[1])})"
    return ""


def _named(annotation: type) -> str:
    if issubclass(annotation, Enum):
        return _one_of([member.value for member in annotation])
    return "settings" if issubclass(annotation, BaseModel) else _NAMES[annotation]


def _one_of(values: Sequence[object]) -> str:
    return ", ".join(code(str(value)) for value in values)


def _optional(annotation: Any) -> Any:
    """`X` of `X | None`."""
    parts = [part for part in get_args(annotation) if part is not NoneType]
    return parts[0] if get_origin(annotation) in (Union, UnionType) and len(parts) == 1 else annotation


def _flat(annotation: Any) -> Iterator[Any]:
    """What an `Annotated` type itself demands of its values."""
    for mark in getattr(annotation, "__metadata__", ()):
        yield from mark.metadata if isinstance(mark, FieldInfo) else (mark,)


def _numbers(metadata: Sequence[Any], kind: str) -> str:
    """The tightest bounds."""
    lower, exclusive = max(_lower_bounds(metadata), default=(None, False))
    upper = min(_upper_bounds(metadata), default=None)
    if kind == DURATION:  # every duration is within these
        lower = lower if lower or exclusive else None
        upper = upper if upper != MAX_DURATION else None
    return _between(lower, upper, _FORMATS.get(kind, _number), exclusive=exclusive)


def _lower_bounds(metadata: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
    """Each with whether it is itself outside."""
    for mark in metadata:
        if isinstance(mark, annotated_types.Gt):
            yield mark.gt, True
        elif isinstance(mark, annotated_types.Ge):
            yield mark.ge, False


def _upper_bounds(metadata: Sequence[Any]) -> Iterator[Any]:
    yield from (mark.le for mark in metadata if isinstance(mark, annotated_types.Le))


def _between(lower: Any, upper: Any, shown: Callable[[Any], str], *, exclusive: bool) -> str:
    if lower is not None and upper is not None and not exclusive:
        return f"{shown(lower)} to {shown(upper)}"
    first = "" if lower is None else f"{'above' if exclusive else 'at least'} {shown(lower)}"
    last = "" if upper is None else f"at most {shown(upper)}"
    return ", ".join(filter(None, (first, last)))


def _lengths(metadata: Sequence[Any]) -> Iterator[str]:
    for mark in metadata:
        if isinstance(mark, annotated_types.MinLen):
            yield "not empty"
        elif isinstance(mark, annotated_types.MaxLen):
            yield f"length at most {mark.max_length}"


def _patterns(metadata: Sequence[Any]) -> Iterator[str]:
    yield from (f"matches {code(mark.pattern)}" for mark in metadata if getattr(mark, "pattern", None))


def _number(value: Any) -> str:
    return f"{value:,}"


def _duration(seconds: float) -> str:
    size, unit = next(pair for pair in _UNITS if seconds % pair[0] == 0)
    return f"{seconds / size:g}{unit}" if seconds else "0"


def _size(count: int) -> str:
    return ByteSize(count).human_readable().replace(".0", "") if count else "0"


_FORMATS: Final[dict[str, Callable[[Any], str]]] = {DURATION: _duration, "size": _size}
