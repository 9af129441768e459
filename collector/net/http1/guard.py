"""How long a request head or its trailers may be, for parsers that report a field only when it is whole."""

MAX_HEAD_BYTES = 64 * 1024


class HeadGuard:
    """Counts the bytes of a connection that the parser may keep to itself.

    Set `moved` whenever bytes have begun a head, ended one, or were of a body: those that came together with them may
    belong to something else, and do not count.
    """

    __slots__ = ("_unmoved_bytes", "moved")

    def __init__(self) -> None:
        self.moved = False
        self._unmoved_bytes = 0

    def exceeded(self, size: int, *, inside: bool) -> bool:
        """Whether the head or the trailers are too long, after `size` more bytes; `inside` of a request or not."""
        if self.moved:
            self._unmoved_bytes = 0
        elif inside:
            self._unmoved_bytes += size
        return self._unmoved_bytes > MAX_HEAD_BYTES
