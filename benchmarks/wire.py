"""The sender's connections: OTLP/HTTP over one socket each, OTLP/gRPC as HTTP/2 frames, for a few microseconds a call.

The library clients cost more CPU than a fast daemon does. What goes over the wire is what they send: the same headers,
frames of the size and in the windows the server grants, and one message a call.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

import httptools
from hpack import Decoder, Encoder

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
Done = Callable[[str | None], None]  # why it failed, or None

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 4, 5
_GRANT = 1 << 20


class Connection(Protocol):
    """Takes `free` more requests now; `send` reports each one's end exactly once, never before it returns."""

    @property
    def free(self) -> int: ...

    def send(self, body: bytes, done: Done) -> None: ...

    def close(self) -> None: ...


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self, authority: str, media_type: str, gzip: bool) -> None:
        coding = "Content-Encoding: gzip\r\n" if gzip else ""
        self._head = (
            f"POST /v1/traces HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {media_type}\r\n"
            f"User-Agent: OTel-OTLP-Exporter-Python/1.38.0\r\n{coding}Content-Length: "
        ).encode()
        self._done: Done | None = None
        self._lost = False
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self.ready = asyncio.get_running_loop().create_future()

    @property
    def free(self) -> int:
        return int(self._done is None and not self._lost)

    def send(self, body: bytes, done: Done) -> None:
        self._done = done
        self._transport.writelines((self._head + b"%d\r\n\r\n" % len(body), body))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.ready.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._end(None if status == 200 else f"HTTP {status}")

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._end(f"connection lost: {exc}")

    def _end(self, why: str | None) -> None:
        done, self._done = self._done, None
        if done:
            done(why)


class _Upload:
    """A message on its way: what is left of it, and how much of it the stream's window takes."""

    def __init__(self, stream: int, message: memoryview, window: int) -> None:
        self.stream = stream
        self.left = message
        self.window = window


class GrpcConnection(asyncio.Protocol):
    """One HTTP/2 connection, `in_flight` calls at a time."""

    def __init__(self, authority: str, in_flight: int, gzip: bool) -> None:
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", EXPORT),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "OTel-OTLP-Exporter-Python/1.38.0 grpc-python/1.76.0"),
            *([("grpc-encoding", "gzip")] if gzip else []),
        ]
        encoder = Encoder()
        self._first_headers, self._headers = encoder.encode(headers), encoder.encode(headers)
        self._prefix = b"\1" if gzip else b"\0"
        self._decoder = Decoder()
        self._statuses: dict[bytes, str | None] = {}
        self._in_flight = in_flight
        self._calls: dict[int, Done] = {}
        self._uploads: dict[int, _Upload] = {}
        self._next = 1
        self._window = 65_535
        self._stream_window = 65_535
        self._frame = 16_384
        self._unread = bytearray()
        self._received = 0
        self._lost = False
        self._transport: Any = None
        self.ready = asyncio.get_running_loop().create_future()

    @property
    def free(self) -> int:
        return 0 if self._lost else self._in_flight - len(self._calls)

    def send(self, body: bytes, done: Done) -> None:
        stream, self._next = self._next, self._next + 2
        headers, self._first_headers = self._first_headers or self._headers, b""
        self._calls[stream] = done
        head = self._prefix + struct.pack(">I", len(body))
        parts: list[bytes | memoryview] = [_frame(_HEADERS, _END_HEADERS, stream, headers)]
        upload = _Upload(stream, memoryview(body), self._stream_window)
        first = min(self._frame, self._window, upload.window, len(body) + 5) - 5
        if first < 0:  # no room even for the prefix: send it with the body once there is
            upload.left = memoryview(head + body)
        else:
            last = first == len(body)
            parts += (_frame_head(first + 5, _DATA, _END_STREAM * last, stream) + head, upload.left[:first])
            self._spend(upload, first + 5)
            upload.left = upload.left[first:]
        if upload.left:
            self._uploads[stream] = upload
            self._fill(upload, parts)
        self._transport.writelines(parts)

    def _spend(self, upload: _Upload, size: int) -> None:
        self._window -= size
        upload.window -= size

    def _fill(self, upload: _Upload, parts: list[bytes | memoryview]) -> None:
        """As many DATA frames as the windows take."""
        while (size := min(self._frame, self._window, upload.window, len(upload.left))) > 0:
            last = size == len(upload.left)
            parts += (_frame_head(size, _DATA, _END_STREAM * last, upload.stream), upload.left[:size])
            upload.left = upload.left[size:]
            self._spend(upload, size)
        if not upload.left:
            self._uploads.pop(upload.stream, None)

    def _resume(self) -> None:
        parts: list[bytes | memoryview] = []
        for upload in list(self._uploads.values()):
            if self._window <= 0:
                break
            self._fill(upload, parts)
        if parts:
            self._transport.writelines(parts)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        grant = _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _GRANT))
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + grant)

    def close(self) -> None:
        self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        for stream in list(self._calls):
            self._end(stream, f"connection lost: {exc}")

    def data_received(self, data: bytes) -> None:
        unread = self._unread
        unread += data
        at = 0
        while len(unread) - at >= 9:
            size = int.from_bytes(unread[at : at + 3], "big")
            if len(unread) - at - 9 < size:
                break
            stream = int.from_bytes(unread[at + 5 : at + 9], "big")
            self._received_frame(unread[at + 3], unread[at + 4], stream, bytes(unread[at + 9 : at + 9 + size]))
            at += 9 + size
        del unread[:at]

    def _received_frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _HEADERS:
            if not flags & _END_HEADERS:
                raise ValueError("headers in several frames are not expected of an Export answer")
            status = self._status(payload)
            if flags & _END_STREAM:
                self._end(stream, status)
        elif kind == _DATA:
            self._count(len(payload))
        elif kind == _WINDOW_UPDATE:
            self._widen(stream, int.from_bytes(payload, "big"))
        elif kind == _SETTINGS and not flags & _ACK:
            self._obey(payload)
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _RST_STREAM:
            self._end(stream, f"reset {int.from_bytes(payload, 'big')}")
        elif kind == _GOAWAY:
            self._lost = True

    def _status(self, block: bytes) -> str | None:
        """Why the call failed, by a header block. Blocks that leave the decoder's table alone are decoded once."""
        if block in self._statuses:
            return self._statuses[block]
        before = self._decoder.header_table.maxsize, list(self._decoder.header_table.dynamic_entries)
        headers: dict[Any, Any] = dict(self._decoder.decode(block))
        status = headers.get("grpc-status", "0")
        why = None if status == "0" else f"gRPC status {status}: {headers.get('grpc-message', '')}"
        if before == (self._decoder.header_table.maxsize, list(self._decoder.header_table.dynamic_entries)):
            self._statuses[block] = why
        else:
            self._statuses.clear()
        return why

    def _count(self, size: int) -> None:
        self._received += size
        if self._received >= _GRANT // 2:
            self._transport.write(_frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
            self._received = 0

    def _widen(self, stream: int, size: int) -> None:
        if not stream:
            self._window += size
            self._resume()
        elif upload := self._uploads.get(stream):
            upload.window += size
            self._resume()

    def _obey(self, payload: bytes) -> None:
        for name, value in struct.iter_unpack(">HI", payload):
            if name == _MAX_FRAME_SIZE:
                self._frame = value
            elif name == _INITIAL_WINDOW_SIZE:
                for upload in self._uploads.values():
                    upload.window += value - self._stream_window
                self._stream_window = value
        self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
        if not self.ready.done():
            self.ready.set_result(None)
        self._resume()

    def _end(self, stream: int, why: str | None) -> None:
        self._uploads.pop(stream, None)
        done = self._calls.pop(stream, None)
        if done:
            done(why)


def _frame_head(size: int, kind: int, flags: int, stream: int) -> bytes:
    return struct.pack(">I", size << 8 | kind) + struct.pack(">BI", flags, stream)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _frame_head(len(payload), kind, flags, stream) + payload
