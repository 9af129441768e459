"""What a request head may be: how long it and its trailers are, for parsers that report a field only when it is whole,
and which fields may be in it once.
"""

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence

MAX_HEAD_BYTES = 64 * 1024
# Of a head; a field costs many times its bytes where these are few.
MAX_FIELDS = 128
# What a field takes in memory besides its name and value.
_FIELD_BYTES = 160

_ONCE = (b"host", b"authorization", b"x-api-key", b"content-type", b"content-encoding")
# RFC 3986 section 3.2: a host and a port; without one the target has no authority.
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


@functools.lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def head_mistake(fields: Sequence[tuple[bytes, bytes]], by_name: Mapping[bytes, bytes], version: str) -> str:
    """Why these fields, their names in lower case, make no request of HTTP `version`; empty when they do.

    RFC 9112 section 3.2 for Host. Of two values of another of these, the one that is taken may not be the one that
    someone before us has looked at.
    """
    if len(by_name) < len(fields):
        counts = Counter(name for name, _ in fields)
        twice = next((name for name in _ONCE if counts[name] > 1), None)
        if twice:
            return f"The request has the field {twice.decode()!r} more than once."
    host = by_name.get(b"host")
    if host is None:
        return "" if version != "1.1" else "An HTTP/1.1 request needs a Host header."
    return "" if _is_host(host) else "The Host header is no host and port."


class HeadGuard:
    """How long a connection's head and trailers may be. Tell it of each read, before and after the parser has it.

    Call `begin` for each head, and set `moved` whenever bytes have ended one or were of a body: those that came
    together with them may belong to something else, and are not kept by the parser.
    """

    __slots__ = ("_began_in", "_read", "_unmoved_bytes", "moved")

    def __init__(self) -> None:
        self.moved = False
        self._read = self._began_in = self._unmoved_bytes = 0

    def before(self, size: int) -> None:
        """`size` bytes have come."""
        self.moved = False
        self._read = size

    def begin(self) -> None:
        """A head begins."""
        self.moved = True
        self._began_in = self._read

    def exceeded(self, *, inside: bool) -> bool:
        """Whether the head or the trailers are too long after what has come; `inside` of a request or not."""
        if self.moved:
            self._unmoved_bytes = 0
        elif inside:
            self._unmoved_bytes += self._read
        return self._unmoved_bytes > MAX_HEAD_BYTES

    def too_large(self, url: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether a whole head is too large, also one that came in one read."""
        most = self._began_in + self._unmoved_bytes + self._read
        return most > MAX_HEAD_BYTES and _bytes(url, fields) > MAX_HEAD_BYTES

    def held(self, url: bytes, fields: Sequence[tuple[bytes, bytes]]) -> int:
        """Bytes of memory that a head takes of which the end has not come, with what the parser keeps to itself."""
        return max(_bytes(url, fields) + self._unmoved_bytes, self._began_in) + _FIELD_BYTES * len(fields)


def _bytes(url: bytes, fields: Sequence[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) for name, value in fields)
