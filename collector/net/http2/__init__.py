"""HTTP/2 as gRPC servers need it: a native codec, and the connections that run on it."""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

try:
    from collector.net.http2 import _codec  # noqa: F401 - whether it was compiled

    NATIVE = True
except ImportError:  # installed without a compiler
    NATIVE = False


class EventKind(IntEnum):
    """What an event of the codec says. The order is that of `session.hpp`."""

    CALL = 0
    OPEN = 1
    PART = 2
    FAULT = 3
    GONE = 4


class Fault(IntEnum):
    """Why a call cannot be taken. The order is that of `session.hpp`."""

    METHOD = 1
    MEDIA_TYPE = 2
    PATH = 3
    HEADERS_TOO_LARGE = 4
    TOO_LARGE = 5
    NO_MESSAGE = 6
    CUT = 7
    SECOND_MESSAGE = 8
    BAD_FLAG = 9
    TWICE = 10


# Kind, stream, path, text, credentials, value: as `Codec.feed` says.
Event = tuple[int, int, int, str | None, Sequence[tuple[str, str]], Any]
