from collections.abc import Iterable

from collector.receive.http2 import Event

class Codec:
    """One connection from the server's side. Raises MemoryError where a message finds no room; it is of no use then."""

    def __init__(
        self,
        paths: Iterable[bytes],
        *,
        max_message: int,
        max_streams: int,
        min_ping_interval: float,
        pings_without_calls: bool,
    ) -> None: ...
    def feed(self, data: bytes | bytearray | memoryview, size: int, now: float) -> list[Event]:
        """Take the first `size` bytes of `data`; `now` in seconds on any clock.

        Events are (kind, stream, path, text, credentials, value), where `path` is an index into `paths` or -1 and
        `credentials` the header fields `authorization` and `x-api-key`:

        - CALL: a whole call; `text` is its grpc-encoding if the message is compressed, else None; `value` the message.
        - OPEN: a call has begun and more is to come; `value` is how many bytes of its message are held.
        - PART: more of its message has come; `value` as before.
        - FAULT: a call that cannot be taken; `value` is a Fault, `text` what it is about. It waits for `refuse`.
        - GONE: the client has given the call up.
        """

    def out(self) -> bytes:
        """What is to be sent. Taken once."""

    def answer(self, stream: int, message: bytes) -> None:
        """Answer a call with `message` and success; nothing happens when the client has given it up."""

    def send(self, stream: int, message: bytes) -> bool:
        """Answer with `message` and more to come; False when the client has given the call up."""

    def refuse(self, stream: int, status: bytes, fields: Iterable[tuple[bytes, bytes]]) -> None:
        """End a call with these trailers; `status` is the HTTP status where nothing was answered yet."""

    def ping(self) -> None:
        """Ask whether the client is there; whatever comes then says so."""

    def drain(self) -> None:
        """Take no more calls, and say so; those begun go on."""

    @property
    def pending(self) -> bool:
        """Whether there is something to be sent."""

    @property
    def calls(self) -> int:
        """How many calls wait for the end of their answers."""

    @property
    def ended(self) -> bool:
        """Whether the connection is beyond repair; `why` says what was wrong. Nothing more is taken."""

    @property
    def draining(self) -> bool: ...
    @property
    def greeted(self) -> bool:
        """Whether the client has said that it speaks HTTP/2."""

    @property
    def why(self) -> str: ...
