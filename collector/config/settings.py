"""What settings are made of: sections, and the types of their values."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_RELOADABLE = "reloadable"
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d|w)")


def seconds(value: object) -> object:
    """Read `10s`, `1h30m`, `250ms`, `30d` (Go style, plus days and weeks) or a plain number of seconds."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if _DURATION.sub("", text) or not text:
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"{shown(value)} is not a duration; write for example 10s, 5m, 1h30m or 30d") from None
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(text))


@dataclass(frozen=True)
class Written:
    """How a value is written, in the words of docs/configuration.md: for types that Python's own do not describe."""

    text: str


DURATION: Final = "duration"

# A hundred years is for ever, and fits every timer and ClickHouse interval.
MAX_DURATION: Final = 100 * 365 * 86400
Duration = Annotated[
    float, BeforeValidator(seconds), Field(ge=0, le=MAX_DURATION, allow_inf_nan=False), Written(DURATION)
]


def _endpoint(value: object) -> object:
    if isinstance(value, str):
        split_endpoint(value)
    return value


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """`host:port` as its parts; IPv6 hosts in brackets. Raises ValueError with a sentence."""
    host, colon, port = endpoint.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{endpoint!r} is not host:port, for example 127.0.0.1:4317 or [::1]:4317")
    return host.strip("[]"), int(port)


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach `endpoint`."""
    host, _ = split_endpoint(endpoint)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


Endpoint = Annotated[str, BeforeValidator(_endpoint), Written("host:port")]

# The Collector takes one path where spanmeter takes a list.
Paths = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Written("path, or list of paths"),
]


class Section(BaseModel):
    """A group of settings. Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_sections(cls, values: Any) -> Any:
        """A section, list or mapping that is named and left empty (`auth:` alone) has its defaults."""
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value is not None or not _may_be_empty(cls, key)}


def _may_be_empty(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and (field.default_factory is not None or field.default in ((), {}))


def setting(default: Any, text: str, *, reloadable: bool = False, **limits: Any) -> Any:
    """A setting with its default as a user would write it, and the help shown in `config.example.yaml`.

    `reloadable`: a reload takes it, and all that is below it.
    """
    return Field(default=default, description=text, json_schema_extra={_RELOADABLE: reloadable}, **limits)


def section(kind: Callable[[], Any], text: str, *, reloadable: bool = False) -> Any:
    """A section, `reloadable` when a reload takes all that is in it."""
    return Field(default_factory=kind, description=text, json_schema_extra={_RELOADABLE: reloadable})


def is_reloadable(field: FieldInfo) -> bool:
    """Whether a reload takes what is set here."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and extra.get(_RELOADABLE) is True


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown word: the known one it may be meant for, else all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(word[:100], known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here: {', '.join(known)}" if known else ""


def shown(value: object) -> str:
    """A value as it may appear in a sentence: quoted, and cut when it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({len(text)} characters)"


# Path below the section, and the sentence.
Mistake = tuple[str, str]


def refuse(mistakes: Sequence[Mistake]) -> None:
    """Refuse a section for these mistakes, if there are any; `load` tells each at its path."""
    if mistakes:
        text = "; ".join(f"{path}: {sentence}" if path else sentence for path, sentence in mistakes)
        raise PydanticCustomError("mistakes", "{text}", {"text": text, "mistakes": mistakes})


def settings_in(annotation: Any) -> tuple[type[BaseModel], type | None] | None:
    """The section inside `X`, `X | None`, `tuple[X, ...]` or `dict[str, X]`; the container of many.

    A section with words of its own (`Written`) is described elsewhere, and none here.
    """
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, None
    origin = get_origin(annotation)
    if origin is Annotated and any(isinstance(mark, Written) for mark in get_args(annotation)[1:]):
        return None
    if origin in (tuple, dict, Union, UnionType, Annotated):
        found = next((inner for part in get_args(annotation) if (inner := settings_in(part))), None)
        return (found[0], origin) if found and origin in (tuple, dict) else found
    return None
