"""Requests in: bodies bounded in bytes and depth, numbers exact, and for each mistake a sentence."""

import asyncio
import difflib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from typing import NoReturn, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request

from collector.errors import Reason, Rejected
from collector.web.operation import Input

MAX_BODY_BYTES = 64 * 1024
MAX_BODY_DEPTH = 32
_MAX_SHOWN = 40

_Model = TypeVar("_Model", bound=Input)


async def json_object(request: Request, seconds: float) -> dict[str, object]:
    """The body as an object; no body at all is an empty one. Numbers with a point come as Decimal.

    Raises Rejected: as `body_of` beyond 64 KiB, MALFORMED for what is no JSON object, TOO_DEEP; ClientDisconnect.
    """
    text = await body_of(request, seconds, MAX_BODY_BYTES)
    if not text:
        return {}
    try:
        body = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Rejected(Reason.MALFORMED, "The body must be a JSON object.")
    if text.count(b"{") + text.count(b"[") > MAX_BODY_DEPTH and _nests_deeper(body, MAX_BODY_DEPTH):
        raise Rejected(Reason.TOO_DEEP, f"The body nests more than {MAX_BODY_DEPTH} levels deep.")
    return body


async def body_of(request: Request, seconds: float, max_bytes: int) -> bytes:
    """The body. Raises Rejected: SLOW when it has not arrived after so many `seconds`, TOO_LARGE; ClientDisconnect when
    the client goes.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _bounded(request, max_bytes)
    except TimeoutError:
        raise Rejected(Reason.SLOW, f"The body did not arrive within {seconds:g} s.") from None


def reader(model: type[_Model], what: str) -> Callable[[Mapping[str, object]], _Model]:
    """Reads values into `model`. The reader raises Rejected(MALFORMED) for the first `what` it does not understand."""
    validate = model.model_validate
    known = None if model.model_config.get("extra") == "allow" else tuple(_documented(model))
    names = frozenset(model.model_fields)

    def read(values: Mapping[str, object]) -> _Model:
        if known is not None and not names.issuperset(values):
            known_only(values, known, what)
        try:
            return validate(values)
        except ValidationError as error:
            raise Rejected(Reason.MALFORMED, _sentence(error.errors(include_url=False)[0], model)) from None

    return read


def known_only(values: Mapping[str, object], known: Collection[str], what: str = "field") -> None:
    """Raises Rejected(MALFORMED) that names the first unknown key and the nearest known one."""
    for name in values:
        if name in known:
            continue
        close = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
        others = f"known are {', '.join(known)}." if known else "there is none here."
        hint = f"did you mean {close[0]}?" if close else others
        raise Rejected(Reason.MALFORMED, f"{name[:100]!r} is not a known {what}; {hint}")


def _documented(model: type[Input]) -> Iterable[str]:
    return (name for name, field in model.model_fields.items() if not field.exclude)


def _sentence(error: ErrorDetails, model: type[Input]) -> str:
    name = ".".join(map(str, error["loc"])) or "The body"
    field = model.model_fields.get(name)
    if error["type"] == "missing" or (error["input"] is None and field is not None and field.is_required()):
        examples = (field.examples if field else None) or ()
        return f"{name} is required{''.join(f', for example {example}' for example in examples[:1])}."
    expected = {"string_type": "a string", "bool_type": "true or false"}.get(error["type"])
    if expected:
        return f"{name} is {expected}, not {json.dumps(error['input'], default=str)[:_MAX_SHOWN]}."
    return f"{name}: {error['msg']}."


async def _bounded(request: Request, max_bytes: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise Rejected(Reason.TOO_LARGE, f"The body is larger than {max_bytes} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _nests_deeper(value: object, levels: int) -> bool:
    layer = [value]
    for _ in range(levels + 1):
        layer = [inner for outer in layer for inner in _inside(outer)]
        if not layer:
            return False
    return True


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
