"""Answers compressed as their clients ask (RFC 9110, Accept-Encoding): zstd where it is accepted, else gzip."""

import asyncio
import gzip
import sys
from collections.abc import Callable, Mapping
from typing import Final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIN_BYTES = 1024  # smaller answers fit a packet or two as they are
_MAX_INLINE_BYTES = 16 * 1024  # larger ones are compressed in a thread, where they hold up no check

_LEVEL = {"zstd": 3, "gzip": 1}
_CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, _LEVEL["zstd"]),
    "gzip": lambda body: gzip.compress(body, _LEVEL["gzip"], mtime=0),
}


def accepted_coding(accept_encoding: str) -> str:
    """The coding to answer in, by the client's weights and then by ours; "" for none."""
    weights = dict(_weight(part) for part in accept_encoding.lower().split(",") if part.strip())
    weighed = {coding: weights.get(coding, weights.get("*", 0.0)) for coding in _CODINGS}
    best = max(weighed, key=lambda coding: weighed[coding])
    return best if weighed[best] > 0 else ""


async def compressed(body: bytes, coding: str) -> bytes:
    """`body` in the coding."""
    compress = _CODINGS[coding]
    return compress(body) if len(body) <= _MAX_INLINE_BYTES else await asyncio.to_thread(compress, body)


def _weight(part: str) -> tuple[str, float]:
    coding, _, parameters = part.strip().partition(";")
    name, _, value = parameters.strip().partition("=")
    try:
        return coding.strip(), float(value) if name.strip() == "q" else 1.0
    except ValueError:
        return coding.strip(), 0.0
