"""A client made of the h2 library, and our codec as its server, joined without a socket."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import h2.config
import h2.connection
import h2.events
import hpack

from tests.support.native import codec

PATHS = (b"/a.B/C", b"/d.E/F")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1
END_HEADERS, PADDED, HAS_PRIORITY = 4, 8, 32
CALL, OPEN, PART, FAULT, GONE = range(5)
ENHANCE_YOUR_CALM = 11
Field = tuple[str | bytes, str | bytes]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, stream, payload) of each; there must be nothing but whole frames."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 3], "big")
        kind, flags, stream = struct.unpack_from(">BBI", data, at + 3)
        payload = data[at + 9 : at + 9 + size]
        assert len(payload) == size
        yield kind, flags, stream, payload
        at += 9 + size


def message(content: bytes, flag: int = 0, length: int | None = None) -> bytes:
    return bytes([flag]) + struct.pack(">I", len(content) if length is None else length) + content


def head(*more: Field, path: bytes = PATHS[0], method: str = "POST") -> list[Field]:
    return [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "x"),
        ("content-type", "application/grpc"),
        *more,
    ]


def made(**rules: Any) -> Any:
    usual = {"max_message": 1 << 20, "max_streams": 100, "min_ping_interval": 10.0, "pings_without_calls": True}
    return codec()(PATHS, **(usual | rules))


def greeted(**rules: Any) -> Any:
    """A codec to which a client has said hello, and that has said so."""
    found = made(**rules)
    feed(found, PREFACE + frame(SETTINGS))
    found.out()
    return found


def feed(server: Any, data: bytes, now: float = 1.0) -> list[Any]:
    found: list[Any] = server.feed(data, len(data), now)
    return found


def call_bytes(stream: int, block: bytes, content: bytes = b"") -> bytes:
    """A call whose headers are `block`."""
    return frame(HEADERS, END_HEADERS, stream, block) + frame(DATA, END_STREAM, stream, message(content))


def plain_block(*more: Field, **how: Any) -> bytes:
    """Headers that change no table."""
    return bytes(hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in head(*more, **how)]))


def goaway(server: Any) -> tuple[int, bytes]:
    """The code and the text of the GOAWAY with which what is sent ends."""
    kind, _, _, payload = list(frames(server.out()))[-1]
    assert kind == GOAWAY
    return int.from_bytes(payload[4:8], "big"), payload[8:]


class Client:
    """h2's client, whose bytes reach the codec at once and the other way round."""

    def __init__(self, *, reads: bool = True, **rules: Any) -> None:
        self._reads = reads  # gives windows back
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.server = made(**rules)
        self.now = 1.0
        self.events: list[Any] = []  # the codec's
        self.heard: list[Any] = []  # h2's
        self.h2.initiate_connection()
        self.exchange()

    def exchange(self) -> None:
        """Everything there is to say is said and heard."""
        while True:
            to_server, to_client = self.h2.data_to_send(), self.server.out()
            if not (to_server or to_client):
                return
            self.events += feed(self.server, to_server, self.now)
            if to_client:
                self._hear(self.h2.receive_data(to_client))

    def _hear(self, heard: list[Any]) -> None:
        self.heard += heard
        for event in heard:
            if self._reads and isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    def call(self, *parts: bytes, fields: Sequence[Field] | None = None, ends: bool = True, reads: bool = True) -> int:
        """Send a call with these bytes as DATA; its stream."""
        stream = int(self.h2.get_next_available_stream_id())
        self.h2.send_headers(stream, fields or head(), end_stream=ends and not parts)
        for number, part in enumerate(parts, 1):
            self.h2.send_data(stream, part, end_stream=ends and number == len(parts))
            if reads:
                self.exchange()
        if reads:
            self.exchange()
        return stream

    def of(self, kind: int) -> list[Any]:
        """The codec's events of this kind."""
        return [event for event in self.events if event[0] == kind]

    def headers(self, stream: int) -> dict[str, str]:
        """All header and trailer fields of the answer so far."""
        found: dict[str, str] = {}
        for event in self.heard:
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived) and event.stream_id == stream:
                found |= dict(event.headers)
        return found

    def data(self, stream: int) -> bytes:
        return b"".join(
            event.data
            for event in self.heard
            if isinstance(event, h2.events.DataReceived) and event.stream_id == stream and event.data
        )

    def saw(self, kind: Any, stream: int) -> Any:
        """h2's event of this kind for the stream; None: there was none."""
        return next((each for each in self.heard if isinstance(each, kind) and each.stream_id == stream), None)


def split(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    """`data` in pieces that end at these places."""
    begin = 0
    for cut in sorted({min(each, len(data)) for each in cuts} | {len(data)}):
        if cut > begin:
            yield data[begin:cut]
        begin = max(begin, cut)
