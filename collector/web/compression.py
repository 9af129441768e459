"""Answers compressed as their clients ask (RFC 9110, Accept-Encoding): zstd where it is accepted, else gzip."""

import asyncio
import gzip
from collections.abc import Callable, Mapping
from typing import Final

from collector.net.codings import preferred_coding
from collector.net.zstd import zstd

MIN_BYTES = 1024  # smaller answers fit a packet or two as they are
_MAX_INLINE_BYTES = 16 * 1024  # larger ones are compressed in a thread, where they hold up no check

_LEVEL = {"zstd": 3, "gzip": 1}
_CODINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "zstd": lambda body: zstd.compress(body, _LEVEL["zstd"]),
    "gzip": lambda body: gzip.compress(body, _LEVEL["gzip"], mtime=0),
}


def accepted_coding(accept_encoding: str) -> str:
    """The coding to answer in, by the client's weights and then by ours; "" for none."""
    return preferred_coding(accept_encoding, _CODINGS)


async def compressed(body: bytes, coding: str) -> bytes:
    """`body` in the coding."""
    compress = _CODINGS[coding]
    return compress(body) if len(body) <= _MAX_INLINE_BYTES else await asyncio.to_thread(compress, body)
