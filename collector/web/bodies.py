"""JSON in and out: bounded bodies, numbers exact, unknown fields refused with the nearest known one."""

import difflib
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, NoReturn

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse

from collector.errors import Reason, Rejected

_MAX_BYTES = 64 * 1024


class JsonAnswer(JSONResponse):
    """An answer in JSON. Nothing else runs while it is written: a run of 10,000 spans has tens of megabytes."""

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


async def json_object(request: Request) -> dict[str, Any]:
    """The body as an object; no body at all is an empty one. Numbers with a point come as Decimal.

    Raises Rejected: TOO_LARGE beyond 64 KiB, MALFORMED for what is no JSON object.
    """
    text = await _bounded(request)
    if not text:
        return {}
    try:
        body = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Rejected(Reason.MALFORMED, "The body must be a JSON object.")
    return body


def known_only(body: Mapping[str, Any], known: Collection[str], what: str = "field") -> None:
    """Raises Rejected(MALFORMED) that names the first unknown key and the nearest known one."""
    for name in body:
        if name in known:
            continue
        close = difflib.get_close_matches(name[:100], known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}."
        raise Rejected(Reason.MALFORMED, f"{name[:100]!r} is not a known {what}; {hint}")


async def _bounded(request: Request) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MAX_BYTES:
            raise Rejected(Reason.TOO_LARGE, f"The body is larger than {_MAX_BYTES} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
