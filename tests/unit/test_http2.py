"""The HTTP/2 codec against the h2 and hpack libraries: fields, fragments, windows, and clients that mean harm."""

import math
import random
import struct
from typing import Any

import h2.events
import h2.settings
import hpack
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.net.http2 import EventKind, Fault
from tests.support.http2 import (
    ACK,
    CALL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FAULT,
    GOAWAY,
    GONE,
    HAS_PRIORITY,
    HEADERS,
    OPEN,
    PADDED,
    PART,
    PATHS,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    Client,
    Field,
    call_bytes,
    feed,
    frame,
    frames,
    goaway,
    greeted,
    head,
    made,
    message,
    plain_block,
    split,
)
from tests.support.native import codec

pytestmark = pytest.mark.usefixtures("_compiled")


@pytest.fixture
def _compiled() -> None:
    codec()


def test_names_are_those_of_the_codec() -> None:
    assert (EventKind.CALL, EventKind.OPEN, EventKind.PART, EventKind.FAULT, EventKind.GONE) == (
        CALL,
        OPEN,
        PART,
        FAULT,
        GONE,
    )


# -- calls and answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 10_000])
@pytest.mark.parametrize("answer", [b"", b"y" * 300, b"y" * 40_000])
def test_a_call_and_its_answer(content: bytes, answer: bytes) -> None:
    client = Client()
    for path in (0, 1):
        stream = client.call(message(content), fields=head(path=PATHS[path]))
        assert client.of(CALL)[-1] == (CALL, stream, path, None, (), content)
        client.server.answer(stream, answer)
        client.exchange()
        assert client.headers(stream) == {":status": "200", "content-type": "application/grpc", "grpc-status": "0"}
        assert client.data(stream) == message(answer)
        assert client.saw(h2.events.StreamEnded, stream)
    assert client.server.calls == 0


def test_a_refusal() -> None:
    client = Client()
    stream = client.call(message(b"x"))
    client.server.refuse(stream, b"200", [(b"grpc-status", b"3"), (b"grpc-message", b"no" * 100)])
    client.exchange()
    assert client.headers(stream)["grpc-message"] == "no" * 100
    assert client.saw(h2.events.StreamEnded, stream)
    assert not client.saw(h2.events.StreamReset, stream)


def test_a_refusal_of_a_call_that_goes_on_resets_it() -> None:
    client = Client()
    stream = client.call(message(b"x" * 100)[:50], ends=False)
    assert [event[0] for event in client.events] == [OPEN]
    client.server.refuse(stream, b"200", [(b"grpc-status", b"16")])
    client.exchange()
    assert client.headers(stream)["grpc-status"] == "16"
    assert client.saw(h2.events.StreamReset, stream).error_code == 0
    assert client.server.calls == 0


def test_trailers_larger_than_a_frame() -> None:
    client = Client()
    stream = client.call(message(b"x"))
    client.server.refuse(stream, b"200", [(b"grpc-status", b"3"), (b"grpc-message", b"y" * 40_000)])
    client.exchange()
    assert client.headers(stream)["grpc-message"] == "y" * 40_000


def test_an_answer_of_several_messages() -> None:
    client = Client()
    stream = client.call(message(b"x"))
    assert client.server.send(stream, b"one")
    assert client.server.send(stream, b"two")
    client.exchange()
    assert client.data(stream) == message(b"one") + message(b"two")
    client.server.refuse(stream, b"200", [(b"grpc-status", b"14")])
    client.exchange()
    assert client.headers(stream)["grpc-status"] == "14"
    assert not client.server.send(stream, b"three")


def test_parts_are_reported_with_the_memory_they_have() -> None:
    client = Client(max_message=1 << 24)
    content = random.Random(1).randbytes(3 << 20)
    parts = [message(content)[at : at + 16_384] for at in range(0, len(content) + 5, 16_384)]
    stream = client.call(*parts)
    opened, held, done = client.of(OPEN), client.of(PART), client.of(CALL)
    assert len(opened) == 1
    come = [min(16_384 * n - 5, len(content)) for n in range(1, len(parts))]
    room = [event[5] for event in opened + held]
    assert all(size <= had <= min(max(1 << 16, 2 * size), len(content)) for size, had in zip(come, room, strict=True))
    assert done == [(CALL, stream, 0, None, (), content)]


@pytest.mark.parametrize("size", [1, 30, 4000])
def test_a_message_has_no_room_for_what_it_only_announces(size: int) -> None:
    client = Client()
    client.call(message(bytes(size), length=1 << 20), ends=False)
    assert client.of(OPEN)[0][5] == 4 * size


def test_credentials_are_reported_once_and_the_rest_is_not() -> None:
    fields = head(("authorization", "Bearer a"), ("x-other", "b"), ("x-api-key", "c\xe9".encode("latin-1")))
    client = Client()
    expected = (("authorization", "Bearer a"), ("x-api-key", "c\xe9"))
    client.call(message(b"x"), fields=fields, reads=False)
    client.exchange()
    assert client.of(CALL)[0][4] == expected
    client.call(message(b"x" * 50)[:20], message(b"x" * 50)[20:], fields=fields)
    assert client.of(OPEN)[0][4] == expected
    assert client.of(CALL)[1][4] == ()


def test_the_coding_of_compressed_messages() -> None:
    client = Client()
    for flag, fields, expected in [
        (0, ("grpc-encoding", "gzip"), None),
        (1, ("grpc-encoding", "gzip"), "gzip"),
        (1, ("a", "b"), ""),
    ]:
        client.call(message(b"x", flag), fields=head(fields))
        assert client.of(CALL)[-1][3] == expected


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ([], Fault.NO_MESSAGE),
        ([b""], Fault.NO_MESSAGE),
        ([b"\0\0"], Fault.CUT),
        ([message(b"abc")[:-1]], Fault.CUT),
        ([message(b"abc"), message(b"d")], Fault.SECOND_MESSAGE),
        ([message(b"abc") + b"\0"], Fault.SECOND_MESSAGE),
        ([message(b"abc", 2)], Fault.BAD_FLAG),
        ([message(b"abc", length=1 << 21)], Fault.TOO_LARGE),
    ],
)  # fmt: skip
def test_messages_that_cannot_be_taken(parts: list[bytes], fault: Fault) -> None:
    client = Client()
    stream = client.call(*parts)
    assert [(event[1], event[5]) for event in client.of(FAULT)] == [(stream, fault)]
    assert not client.of(CALL)
    client.server.refuse(stream, b"200", [(b"grpc-status", b"3")])
    client.exchange()
    assert client.headers(stream)["grpc-status"] == "3"


@pytest.mark.parametrize(
    ("fields", "fault", "about"),
    [
        (head(method="GET"), Fault.METHOD, "GET"),
        (head(path=b"/a.B/D"), Fault.PATH, "/a.B/D"),
        ([*head()[:4], ("content-type", "application/json")], Fault.MEDIA_TYPE, "application/json"),
        (head()[:4], Fault.MEDIA_TYPE, ""),
    ],
)
def test_heads_that_cannot_be_taken(fields: list[Field], fault: Fault, about: str) -> None:
    client = Client()
    stream = client.call(message(b"x"), fields=fields)
    assert client.of(FAULT) == [(FAULT, stream, -1, about, (), fault)]
    client.server.refuse(stream, b"415", [(b"grpc-status", b"3")])
    client.exchange()
    assert client.headers(stream)[":status"] == "415"


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"])
def test_media_types_of_grpc(kind: str) -> None:
    client = Client()
    client.call(message(b"x"), fields=[*head()[:4], ("content-type", kind)])
    assert len(client.of(CALL)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        head()[1:],
        [head()[0], *head()[2:]],
        [*head()[:2], *head()[3:]],
        [*head(), (":method", "POST")],
        [*head(), (":late", "POST")],
        [head()[0], *head()],
        head(("X-Upper", "a")),
        head(("connection", "close")),
        head(("transfer-encoding", "chunked")),
        head(("te", "gzip")),
        head(("", "a")),
        head(path=b""),
        head((":authority", "y"))[1:] + head()[:1],
        [*head()[:4], (":authority", "x"), *head()[4:]],
        [(":status", "200"), *head()],
        *[head((name, "a")) for name in (b"a b", b" a", b"a\0", b"a\n", b"a\x1f", b"a\x7f", b"a\x80", b"a\xff")],
        *[
            head((name, "a"))
            for name in (b"a:b", b"a:", b"a(", b"a,b", b"a/b", b"a;", b"a=", b"a[", b"a{", b'a"', b"A")
        ],
        *[head(("a", value)) for value in (b"a\rb", b"a\nb", b"a\0b", b" a", b"a ", b"\ta", b"a\t", b"\n", b"a\r\n")],
        *[head(("authorization", b"Bearer a" + byte)) for byte in (b"\r", b"\n", b"\0", b" ")],
        head(path=b"/a.B/C\n"),
        head(path=b" /a.B/C"),
        head(method="POST "),
        head(("host", "a"), ("host", "a")),
        head(("content-length", "6"), ("content-length", "6")),
        *[head(("content-length", value)) for value in ("", "-6", "+6", "0x6", "6 6", "6,6", "six", "9" * 30)],
    ],
)
def test_malformed_requests_are_reset(fields: list[Field]) -> None:
    server = greeted()
    block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field) for field in fields])
    assert feed(server, call_bytes(1, block, b"x")) == []
    assert list(frames(server.out())) == [(RST_STREAM, 0, 1, struct.pack(">I", 1))]
    assert feed(server, call_bytes(3, plain_block()))[0][0] == CALL
    assert not server.ended


@pytest.mark.parametrize(
    ("announced", "parts"),
    [(6, [b"\0\0\0\0\1x"]), (6, [b"\0\0\0", b"\0\1", b"x"]), (5, [b"\0\0\0\0\0"])],
)
@pytest.mark.parametrize("padding", [0, 7])
def test_the_announced_length_is_that_of_the_content(announced: int, parts: list[bytes], padding: int) -> None:
    """Without padding (RFC 9113 section 8.1.1)."""
    for length in (announced, announced - 1, announced + 1, 0):
        server = greeted()
        said = frame(HEADERS, END_HEADERS, 1, plain_block(("content-length", str(length))))
        for number, part in enumerate(parts, 1):
            flags = PADDED | (END_STREAM if number == len(parts) else 0)
            said += frame(DATA, flags, 1, bytes([padding]) + part + bytes(padding))
        calls = [event for event in feed(server, said) if event[0] == CALL]
        resets = [(stream, code) for kind, _, stream, code in frames(server.out()) if kind == RST_STREAM]
        assert (len(calls), resets) == ((1, []) if length == announced else (0, [(1, struct.pack(">I", 1))]))
        assert not server.ended


def test_an_announced_length_without_content_is_malformed() -> None:
    server = greeted()
    said = frame(HEADERS, END_HEADERS | END_STREAM, 1, plain_block(("content-length", "1")))
    assert feed(server, said) == []
    assert list(frames(server.out())) == [(RST_STREAM, 0, 1, struct.pack(">I", 1))]
    said = frame(HEADERS, END_HEADERS, 3, plain_block(("content-length", "7"))) + frame(DATA, 0, 3, message(b"x"))
    feed(server, said + frame(HEADERS, END_HEADERS | END_STREAM, 3, b""))
    assert list(frames(server.out())) == [(RST_STREAM, 0, 3, struct.pack(">I", 1))]


@pytest.mark.parametrize("padded", [False, True])
def test_a_frame_longer_than_announced_is_refused_in_whatever_pieces_it_comes(padded: bool) -> None:
    content = message(b"abcd", flag=61)  # a fault of its own, which no piece of the frame may bring first
    sent = frame(HEADERS, END_HEADERS, 1, plain_block(("content-length", "8")))
    sent += frame(DATA, PADDED, 1, b"\x02" + content + bytes(2)) if padded else frame(DATA, 0, 1, content)
    for cuts in ([], list(range(len(sent)))):
        server = greeted()
        kinds = [event[0] for piece in split(sent, cuts) for event in feed(server, piece)]
        assert set(kinds) <= {OPEN, GONE}
        assert list(frames(server.out())) == [(RST_STREAM, 0, 1, b"\x00\x00\x00\x01")]


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
@pytest.mark.parametrize("value", ["Bearer a", "Bearer b"])
def test_credentials_that_come_twice(name: str, value: str) -> None:
    [event] = feed(greeted(), call_bytes(1, plain_block((name, "Bearer a"), ("x-other", "c"), (name, value)), b"x"))
    assert (event[0], event[3], event[5]) == (FAULT, name, Fault.TWICE)


@pytest.mark.parametrize(
    "field", [(":path", "/"), (":status", "200"), ("a b", "c"), ("X-A", "c"), ("a", "c\n"), ("connection", "close")]
)
def test_trailers_that_are_none(field: Field) -> None:
    server = greeted()
    begun = frame(HEADERS, END_HEADERS, 1, plain_block()) + frame(DATA, 0, 1, message(b"x"))
    assert [event[0] for event in feed(server, begun)] == [OPEN]
    block = hpack.Encoder().encode([hpack.NeverIndexedHeaderTuple(*field)])
    assert [event[0] for event in feed(server, frame(HEADERS, END_HEADERS | END_STREAM, 1, block))] == [GONE]
    assert list(frames(server.out())) == [(RST_STREAM, 0, 1, struct.pack(">I", 1))]
    assert feed(server, call_bytes(3, plain_block(), b"x"))[0][0] == CALL


def test_calls_beyond_the_limit_are_refused_and_may_come_again() -> None:
    server = greeted(max_streams=2)
    events = feed(server, b"".join(call_bytes(stream, plain_block()) for stream in (1, 3, 5)))
    assert [event[1] for event in events] == [1, 3]
    assert list(frames(server.out())) == [(RST_STREAM, 0, 5, struct.pack(">I", 7))]
    server.answer(1, b"")
    assert feed(server, call_bytes(7, plain_block()))[0][:2] == (CALL, 7)


def test_a_call_that_is_given_up() -> None:
    client = Client()
    begun, whole = client.call(message(b"xy")[:6], ends=False), client.call(message(b"x"))
    for stream in (begun, whole):
        client.h2.reset_stream(stream, 8)
        client.exchange()
    assert [event[1] for event in client.of(GONE)] == [begun, whole]
    client.server.answer(whole, b"")
    client.server.refuse(begun, b"200", [])
    assert not client.server.pending
    assert client.server.calls == 0


def test_trailers_end_a_call() -> None:
    client = Client()
    stream = client.call(message(b"x"), ends=False)
    client.h2.send_headers(stream, [("x-trailer", "y")], end_stream=True)
    client.exchange()
    assert client.of(CALL)[0][1] == stream


# -- header compression -----------------------------------------------------------------------------------------------

_characters = st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f")
_values = st.text(_characters, max_size=60).map(lambda text: text.strip(" "))
_fields = st.lists(
    st.tuples(
        st.sampled_from(["authorization", "x-api-key", "x-a", "x-b", "user-agent", "accept"]), _values, st.booleans()
    ),
    max_size=3,
    unique_by=lambda field: field[0],  # credentials may come once
)


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(_fields, st.booleans(), st.none() | st.integers(0, 4096), st.integers(1, 200)), min_size=1, max_size=8
    )
)
def test_whatever_an_encoder_makes_is_read(calls: list[Any]) -> None:
    server, encoder = greeted(), hpack.Encoder()
    for number, (fields, huffman, table_size, piece) in enumerate(calls):
        if table_size is not None:
            encoder.header_table_size = table_size
        sent = [(name, value.encode("latin-1")) for name, value, _ in fields]
        never = [
            hpack.NeverIndexedHeaderTuple(*field) if secret else field
            for field, (_, _, secret) in zip(sent, fields, strict=True)
        ]
        block = encoder.encode([*head(), *never], huffman=huffman)
        parts = [block[at : at + piece] for at in range(0, len(block), piece)]
        out = frame(HEADERS, END_STREAM, 2 * number + 1, parts[0])
        out += b"".join(frame(CONTINUATION, 0, 2 * number + 1, part) for part in parts[1:])
        out += frame(CONTINUATION, END_HEADERS, 2 * number + 1)
        events = feed(server, out, now=float(number * 100))
        assert not server.ended, server.why
        [event] = events
        expected = [(name, value.decode("latin-1")) for name, value in sent if name in ("authorization", "x-api-key")]
        assert (event[0], event[5], event[2], list(event[4])) == (FAULT, Fault.NO_MESSAGE, 0, expected[:4])
        server.refuse(event[1], b"200", [])


def test_every_byte_in_huffman_code() -> None:
    encoder = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
    for size in (1, 2, 3, 7):
        for byte in range(256):
            value = bytes((byte + 31 * n) % 256 for n in range(size))
            coded = encoder.encode(value)
            block = plain_block() + b"\x00\x09x-api-key" + bytes([0x80 | len(coded)]) + coded
            server = greeted()
            events = feed(server, call_bytes(1, block))
            if set(value) & set(b"\0\r\n") or value.strip(b" \t") != value:
                assert list(frames(server.out())) == [(RST_STREAM, 0, 1, struct.pack(">I", 1))]
            else:
                assert events[0][4] == (("x-api-key", value.decode("latin-1")),)


@pytest.mark.parametrize(
    "bad",
    [
        b"\x80",
        b"\xff\xff\xff\xff\xff\xff\x01",
        b"\xbe",
        b"\x00",
        b"\x00\x05ab",
        b"\x82\x3f\xe1\x1f",
        b"\x3f\xe2\x1f",
        b"\x00\x01a\x81\xff\x01",
        b"\x00\x01a\x82\xff\xff",
        b"\x00\x01a\x84\xff\xff\xff\xff",
        b"\x00\x01a\x81\x00",
        b"\x40\x81",
    ],
)
def test_blocks_that_cannot_be_read_end_the_connection(bad: bytes) -> None:
    with pytest.raises(hpack.HPACKError):
        hpack.Decoder().decode(bad)
    server = greeted()
    assert feed(server, call_bytes(1, bad)) == []
    assert server.ended
    assert goaway(server)[0] == 9


@settings(max_examples=300)
@given(st.binary(max_size=40))
def test_blocks_are_read_as_the_library_reads_them(block: bytes) -> None:
    """Whatever is no header block for one is none for the other."""
    decoder = hpack.Decoder()
    decoder.max_allowed_table_size = 4096
    try:
        decoder.decode(block, raw=True)
        sound = True
    except (hpack.HPACKError, UnicodeDecodeError):
        sound = False
    server = greeted()
    feed(server, frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
    assert server.ended != sound


def test_a_client_without_a_header_table_is_told_of_none() -> None:
    client = Client()
    client.h2.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: 0})
    client.exchange()
    for answer in (b"", b"x", b""):
        stream = client.call(message(b"x"))
        client.server.answer(stream, answer)
        client.exchange()
        assert client.headers(stream)["grpc-status"] == "0"


def test_a_header_list_that_unfolds_is_not_held() -> None:
    server = greeted()
    first = plain_block() + hpack.Encoder().encode([("x-api-key", "k" * 4000)], huffman=False)
    assert feed(server, call_bytes(1, first))[0][0] == CALL
    [event] = feed(server, call_bytes(3, plain_block() + b"\xbe" * 1000))
    assert (event[0], event[5]) == (FAULT, Fault.HEADERS_TOO_LARGE)
    assert sum(len(value) for _, value in event[4]) < 70_000


# -- frames -----------------------------------------------------------------------------------------------------------


def conversation() -> bytes:
    """A client's side of a connection with everything that is allowed."""
    encoder = hpack.Encoder()
    padded = b"\x05" + message(b"padded") + bytes(5)
    block = encoder.encode(head(("authorization", "Bearer x")))
    again = encoder.encode(head(("authorization", "Bearer x")))
    return b"".join(
        [
            PREFACE,
            frame(SETTINGS, payload=struct.pack(">HIHI", 4, 70_000, 99, 1)),
            frame(SETTINGS, ACK),
            frame(WINDOW_UPDATE, payload=struct.pack(">I", 1000)),
            call_bytes(1, block, b"one"),
            frame(PRIORITY, 0, 3, bytes(5)),
            frame(HEADERS, PADDED | HAS_PRIORITY, 3, b"\x03" + bytes(5) + again[:4] + bytes(3)),
            frame(CONTINUATION, 0, 3, again[4:9]),
            frame(CONTINUATION, 0, 3, b""),
            frame(CONTINUATION, END_HEADERS, 3, again[9:]),
            frame(99, 255, 77, b"unknown"),
            frame(DATA, PADDED, 3, padded[:1] + padded[1:8] + bytes(5)),
            frame(PING, payload=b"12345678"),
            frame(DATA, 0, 3),
            frame(DATA, PADDED, 3, b"\x00" + padded[8:-5]),
            frame(DATA, END_STREAM | PADDED, 3, b"\x02\x00\x00"),
            frame(WINDOW_UPDATE, 0, 3, struct.pack(">I", 7)),
            frame(HEADERS, END_HEADERS, 5, encoder.encode(head())),
            frame(RST_STREAM, 0, 5, struct.pack(">I", 8)),
            frame(GOAWAY, payload=bytes(8) + b"bye"),
            call_bytes(7, encoder.encode(head(path=PATHS[1])), b"last" * 1000),
        ]
    )


EXPECTED = [
    (1, 0, b"one"),
    (3, 0, b"padded"),
    (7, 1, b"last" * 1000),
]


def calls_of(events: list[Any]) -> list[Any]:
    return [(stream, path, value) for kind, stream, path, _, _, value in events if kind == CALL]


def test_a_conversation_in_one_piece_and_cut_anywhere() -> None:
    said = conversation()
    for cut in range(len(said)):
        server = made()
        events = feed(server, said[:cut]) + feed(server, said[cut:])
        assert calls_of(events) == EXPECTED
        assert not server.ended


@settings(max_examples=100)
@given(st.lists(st.integers(0, 5000), max_size=200))
def test_a_conversation_in_pieces(cuts: list[int]) -> None:
    server = made()
    events = [event for piece in split(conversation(), cuts) for event in feed(server, piece)]
    assert calls_of(events) == EXPECTED


def test_a_conversation_byte_by_byte() -> None:
    server, said = made(), conversation()
    events = [event for at in range(len(said)) for event in feed(server, said[at : at + 1])]
    assert calls_of(events) == EXPECTED
    # Credentials come with the first word of a call.
    assert [event[4] for event in events if event[0] == OPEN and event[1] < 5] == [(("authorization", "Bearer x"),)] * 2


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(DATA, 0, 0, b"x"), 1),
        (frame(DATA, 0, 1, b"x"), 1),
        (frame(DATA, PADDED, 1), 1),
        (frame(HEADERS, END_HEADERS, 0, plain_block()), 1),
        (frame(HEADERS, END_HEADERS, 2, plain_block()), 1),
        (frame(HEADERS, END_HEADERS | PADDED, 1, b"\x09abc"), 1),
        (frame(HEADERS, END_HEADERS | PADDED, 1), 6),
        (frame(HEADERS, END_HEADERS | HAS_PRIORITY, 1, b"abc"), 6),
        (frame(HEADERS, 0, 1, plain_block()) + frame(PING, payload=bytes(8)), 1),
        (frame(HEADERS, 0, 1, plain_block()) + frame(CONTINUATION, END_HEADERS, 3), 1),
        (frame(CONTINUATION, END_HEADERS, 1), 1),
        (frame(PRIORITY, 0, 1, bytes(4)), 6),
        (frame(PRIORITY, 0, 0, bytes(5)), 1),
        (frame(GOAWAY, 0, 1, bytes(8)), 1),
        (frame(GOAWAY, 0, 0, bytes(4)), 6),
        (frame(GOAWAY, 0, 0, b""), 6),
        (frame(SETTINGS, 0, 0, struct.pack(">HI", 2, 2)), 1),
        (frame(SETTINGS, 0, 0, struct.pack(">HI", 9, 2)), 1),
        (call_bytes(5, plain_block()) + frame(DATA, 0, 2, b"x"), 1),
        (call_bytes(5, plain_block()) + frame(WINDOW_UPDATE, 0, 2, b"\0\0\0\1"), 1),
        (call_bytes(5, plain_block()) + frame(RST_STREAM, 0, 4, bytes(4)), 1),
        (frame(RST_STREAM, 0, 0, bytes(4)), 1),
        (frame(RST_STREAM, 0, 1, bytes(3)), 6),
        (frame(RST_STREAM, 0, 1, bytes(4)), 1),
        (frame(SETTINGS, 0, 1), 1),
        (frame(SETTINGS, 0, 0, bytes(5)), 6),
        (frame(SETTINGS, ACK, 0, bytes(6)), 6),
        (frame(SETTINGS, 0, 0, bytes(600)), ENHANCE_YOUR_CALM),
        (frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)), 3),
        (frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 100)), 1),
        (frame(PUSH_PROMISE, END_HEADERS, 1, bytes(4)), 1),
        (frame(PING, 0, 0, bytes(7)), 6),
        (frame(PING, 0, 1, bytes(8)), 1),
        (frame(WINDOW_UPDATE, 0, 0, bytes(4)), 1),
        (frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), 3),
        (frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), 1),
        (frame(WINDOW_UPDATE, 0, 0, bytes(3)), 6),
        (b"\xff\xff\xff\0\0\0\0\0\1", 6),
        (b"\x01\x00\x01\1\0\0\0\0\1", ENHANCE_YOUR_CALM),
    ],
)
def test_frames_that_break_the_protocol(bad: bytes, code: int) -> None:
    server = greeted()
    feed(server, bad)
    assert server.ended
    assert server.why
    assert goaway(server)[0] == code
    assert feed(server, call_bytes(1, plain_block())) == []


@pytest.mark.parametrize("first", [PREFACE[:-1] + b"x", b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"PRI * HTTP/2.1"])
def test_what_is_not_http2(first: bytes) -> None:
    server = made()
    feed(server, first)
    assert server.ended
    assert not server.greeted


def test_what_has_begun_and_not_ended_is_known() -> None:
    server, said = made(), frame(HEADERS, 0, 1, plain_block()) + frame(CONTINUATION, END_HEADERS, 1)
    feed(server, PREFACE + frame(SETTINGS))
    for at in range(len(said)):
        assert server.unfinished_since == (100.0 if at else math.inf), "it counts from its first byte"
        feed(server, said[at : at + 1], now=100.0 + at)
    assert server.unfinished_since == math.inf
    feed(server, frame(DATA, 0, 1, message(b"abc"))[:-1])
    assert server.unfinished_since == math.inf


def test_a_connection_that_has_ended_waits_for_nothing() -> None:
    bad = frame(HEADERS, END_HEADERS, 1, b"\xff" * 9)
    for pieces in ([bad], list(split(bad, range(len(bad)))), [frame(HEADERS, 0, 1, plain_block()), bad]):
        server = greeted()
        for piece in pieces:
            feed(server, piece)
        assert server.ended
        assert server.unfinished_since == math.inf


def test_the_first_frame_is_settings() -> None:
    server = made()
    feed(server, PREFACE + frame(PING, payload=bytes(8)))
    assert server.ended


@settings(max_examples=500)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_behind_the_greeting_end_well(noise: bytes, cuts: list[int]) -> None:
    server = greeted()
    for piece in split(noise, cuts):
        for event in feed(server, piece):
            server.refuse(event[1], b"200", [(b"grpc-status", b"3")])
    sent = list(frames(server.out()))
    assert (sent[-1][0] == GOAWAY if sent else False) == server.ended


@settings(max_examples=500)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 10), st.integers(0, 255), st.integers(0, 12), st.binary(max_size=40) | st.just(plain_block())
        ),
        max_size=12,
    )
)
def test_any_frames_end_well(sent: list[tuple[int, int, int, bytes]]) -> None:
    server = greeted(max_streams=3)
    for kind, flags, stream, payload in sent:
        for event in feed(server, frame(kind, flags, stream, payload)):
            if event[0] == CALL:
                server.answer(event[1], payload)
        server.send(1, b"x")
    heard = list(frames(server.out()))
    assert any(kind == GOAWAY for kind, *_ in heard) == server.ended
    assert server.calls <= 3


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_conversation_with_other_bytes_in_it_ends_well(changes: list[tuple[int, int]]) -> None:
    said = bytearray(conversation())
    for at, byte in changes:
        said[at] = byte
    server = made()
    for event in feed(server, bytes(said)):
        server.answer(event[1], b"")
    list(frames(server.out()))


# -- flow control -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [0, 1, 4, 5, 6, 1000])
@pytest.mark.parametrize("answer", [b"", b"y" * 3000])
def test_answers_keep_to_the_window_of_a_stream(window: int, answer: bytes) -> None:
    client = Client(reads=False)
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
    client.exchange()
    stream = client.call(message(b"x"))
    client.server.answer(stream, answer)
    client.exchange()
    while not client.saw(h2.events.StreamEnded, stream):
        assert len(client.data(stream)) < len(answer) + 5
        before = len(client.data(stream))
        client.h2.increment_flow_control_window(700, stream)
        client.now += 1
        client.exchange()
        assert len(client.data(stream)) > before
    assert client.data(stream) == message(answer)
    assert client.headers(stream)["grpc-status"] == "0"


def test_answers_keep_to_the_window_of_the_connection() -> None:
    client = Client(reads=False, max_streams=1000)
    streams = [client.call(message(b"x")) for _ in range(60)]
    for stream in streams:
        client.server.answer(stream, b"y" * 2000)
    client.exchange()
    assert sum(len(client.data(stream)) for stream in streams) == 65_535
    client.h2.increment_flow_control_window(1 << 20)
    client.exchange()
    assert all(client.data(stream) == message(b"y" * 2000) for stream in streams)
    assert all(client.saw(h2.events.StreamEnded, stream) for stream in streams)


def test_a_window_that_grows_by_settings() -> None:
    client = Client()
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
    client.exchange()
    stream = client.call(message(b"x"))
    client.server.answer(stream, b"")
    client.exchange()
    assert not client.saw(h2.events.StreamEnded, stream)
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 100})
    client.exchange()
    assert client.saw(h2.events.StreamEnded, stream)


def test_of_the_windows_in_one_frame_the_last_one_holds() -> None:
    client = Client()
    values = [0, 1, 100_000, 3]
    feed(client.server, frame(SETTINGS, payload=b"".join(struct.pack(">HI", 4, value) for value in values)))
    stream = client.call(message(b"x"))
    client.server.answer(stream, b"answer")
    assert client.server.blocked == 1
    client.server.out()
    feed(client.server, frame(SETTINGS, payload=struct.pack(">HI", 4, 11)))
    assert client.server.blocked == 0


def test_windows_of_many_calls_cost_by_their_number() -> None:
    """Each size that is said goes through every call."""
    server = greeted(max_streams=1024)
    feed(server, b"".join(frame(HEADERS, END_HEADERS, stream, plain_block()) for stream in range(1, 2048, 2)))
    sizes = b"".join(struct.pack(">HI", 4, 1000 + n) for n in range(64))
    sent = 0
    while not server.ended:
        feed(server, frame(SETTINGS, payload=sizes) + frame(SETTINGS, payload=struct.pack(">HI", 4, 10)))
        sent += 2
    assert 50 < sent < 300
    assert goaway(server)[0] == ENHANCE_YOUR_CALM


def test_a_window_that_a_call_cannot_have() -> None:
    server = greeted()
    feed(server, frame(HEADERS, END_HEADERS, 1, plain_block()))
    feed(server, frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", (1 << 31) - 1 - 65_535)))
    assert not server.ended
    feed(server, frame(SETTINGS, payload=struct.pack(">HI", 4, 65_536)))
    assert goaway(server)[0] == 3


def test_a_client_may_send_for_ever_within_its_windows() -> None:
    client = Client(max_message=64 << 20)
    content = bytes(40 << 20)
    data = memoryview(message(content))
    stream = client.call(ends=False)
    while data:
        size = min(client.h2.local_flow_control_window(stream), client.h2.max_outbound_frame_size, len(data))
        assert size > 0
        client.h2.send_data(stream, bytes(data[:size]), end_stream=size == len(data))
        data = data[size:]
        client.exchange()
    assert client.of(CALL)[0][5] == content


def test_a_stream_is_granted_what_it_used_and_no_more() -> None:
    server = greeted(max_message=64 << 20)
    feed(server, frame(HEADERS, END_HEADERS, 1, plain_block()))
    part, more = (frame(DATA, 0, 1, content) for content in (message(bytes(1000), length=60 << 20), bytes(1 << 20)))
    feed(server, part)
    granted = (4 << 20) - 1005
    for _ in range(40):
        feed(server, more)
        granted -= 1 << 20
        granted += sum(int.from_bytes(p, "big") for k, _, s, p in frames(server.out()) if k == WINDOW_UPDATE and s == 1)
        assert 0 < granted <= 4 << 20


def test_more_than_the_window_of_a_stream_is_an_error() -> None:
    server, more = greeted(), frame(DATA, 0, 1, bytes(1 << 20))
    feed(server, frame(HEADERS, END_HEADERS, 1, plain_block()))
    assert feed(server, more)[0][::5] == (FAULT, Fault.SECOND_MESSAGE)  # nothing more is granted to it
    for _ in range(4):
        assert not any(kind == RST_STREAM for kind, *_ in frames(server.out()))
        feed(server, more)
    assert (RST_STREAM, 0, 1, struct.pack(">I", 3)) in frames(server.out())
    for _ in range(40):  # what was under way is dropped
        feed(server, more)
    assert not server.ended
    assert sum(int.from_bytes(p, "big") for k, _, s, p in frames(server.out()) if k == WINDOW_UPDATE) >= 32 << 20


# -- floods -----------------------------------------------------------------------------------------------------------

FLOODS = {
    "ping": frame(PING, payload=bytes(8)),
    "ping acknowledgements": frame(PING, ACK, payload=bytes(8)),
    "settings": frame(SETTINGS),
    "settings acknowledgements": frame(SETTINGS, ACK),
    "priority": frame(PRIORITY, 0, 3, bytes(5)),
    "window updates": frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
    "empty data": frame(DATA, 0, 1),
    "data of a closed stream": frame(DATA, 0, 3, b"x"),
    "headers of a closed stream": frame(HEADERS, END_HEADERS, 3, b""),
    "resets of a closed stream": frame(RST_STREAM, 0, 3, bytes(4)),
    "unknown": frame(99),
    "goaway": frame(GOAWAY, payload=bytes(8)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_frames_without_work_are_limited(kind: str) -> None:
    server = greeted(min_ping_interval=0)
    feed(server, frame(HEADERS, END_HEADERS, 1, plain_block()) + call_bytes(3, plain_block()))
    server.answer(3, b"")
    feed(server, FLOODS[kind] * 1000)
    assert not server.ended
    feed(server, FLOODS[kind] * 5000)
    assert server.ended
    assert goaway(server)[0] == ENHANCE_YOUR_CALM


@pytest.mark.parametrize("kind", FLOODS)
def test_frames_without_work_may_come_now_and_then(kind: str) -> None:
    server = greeted(min_ping_interval=0)
    feed(server, frame(HEADERS, END_HEADERS, 1, plain_block()) + call_bytes(3, plain_block()))
    server.answer(3, b"")
    for second in range(60):
        feed(server, FLOODS[kind] * 100, now=float(second))
    assert not server.ended


def test_rapid_reset() -> None:
    server = greeted()
    attack = (
        frame(HEADERS, END_HEADERS, stream, plain_block()) + frame(RST_STREAM, 0, stream, bytes(4))
        for stream in range(1, 20_000, 2)
    )
    sent = 0
    while not server.ended:
        feed(server, next(attack))
        sent += 1
    assert 1000 < sent < 3000
    assert goaway(server)[0] == ENHANCE_YOUR_CALM
    assert server.calls <= 1


def test_resets_that_a_client_provokes_are_rapid_too() -> None:
    server = greeted()
    sent = 0
    for stream in range(1, 20_000, 2):
        # A whole call, and then more of it, which is an error of the stream.
        feed(server, call_bytes(stream, plain_block()) + frame(DATA, 0, stream, bytes(64)))
        sent += 1
        if server.ended:
            break
    assert server.ended
    assert 1000 < sent < 3000
    assert goaway(server)[0] == ENHANCE_YOUR_CALM


def test_answers_that_windows_do_not_take_are_known() -> None:
    server = made()
    feed(server, PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0)))
    assert not server.blocked
    feed(server, call_bytes(1, plain_block()))
    server.answer(1, b"answer")
    assert server.blocked
    feed(server, frame(WINDOW_UPDATE, 0, 1, struct.pack(">I", 1000)))
    assert not server.blocked
    feed(server, call_bytes(3, plain_block()))
    server.answer(3, b"answer")
    feed(server, frame(RST_STREAM, 0, 3, bytes(4)))
    assert not server.blocked, "nobody waits for it any more"


@pytest.mark.parametrize("part", [b"", b"x" * 1000])
def test_a_header_block_without_end(part: bytes) -> None:
    server = greeted()
    feed(server, frame(HEADERS, 0, 1, plain_block()))
    for _ in range(3000):
        feed(server, frame(CONTINUATION, 0, 1, part))
    assert server.ended
    assert goaway(server)[0] == ENHANCE_YOUR_CALM


def test_pings_too_often_are_too_many() -> None:
    server = greeted(min_ping_interval=10)
    ping = frame(PING, payload=b"12345678")
    for now in (1, 12, 23, 24, 25):
        feed(server, ping, now=now)
        assert list(frames(server.out())) == [(PING, ACK, 0, b"12345678")]
    feed(server, ping, now=26)
    assert goaway(server) == (ENHANCE_YOUR_CALM, b"too_many_pings")


def test_pings_between_answers_are_welcome() -> None:
    """Clients measure bandwidth by them."""
    server = greeted(min_ping_interval=10)
    for stream in range(1, 200, 2):
        feed(server, call_bytes(stream, plain_block()) + frame(PING, payload=bytes(8)))
        server.answer(stream, b"")
    assert not server.ended


def test_pings_without_a_call_where_that_is_not_permitted() -> None:
    server = greeted(min_ping_interval=1, pings_without_calls=False)
    for now in (100, 200, 300):
        feed(server, frame(PING, payload=bytes(8)), now=now)
    assert not server.ended
    feed(server, frame(PING, payload=bytes(8)), now=400)
    assert server.ended


# -- the end ----------------------------------------------------------------------------------------------------------


def test_draining_answers_what_has_begun_and_takes_no_more() -> None:
    client = Client()
    begun, whole = client.call(message(b"xy")[:6], ends=False), client.call(message(b"x"))
    client.server.drain()
    late = frame(HEADERS, END_HEADERS, 5, plain_block()) + frame(DATA, END_STREAM, 5, message(b"x"))
    assert feed(client.server, late) == []
    client.h2.send_data(begun, b"y", end_stream=True)
    feed(client.server, frame(DATA, END_STREAM, begun, b"y"))
    assert client.server.calls == 2
    client.server.answer(whole, b"")
    client.server.answer(begun, b"")
    assert client.server.draining
    assert client.server.calls == 0
    heard = list(frames(client.server.out()))
    assert heard[0] == (GOAWAY, 0, 0, struct.pack(">II", whole, 0))
    assert {stream for kind, _, stream, _ in heard if kind == HEADERS} == {begun, whole}


_ALL = struct.pack(">II", (1 << 31) - 1, 0)


def _announced(server: Any) -> bytes:
    """The PING with which the server asks whether it was heard, in its announcement that the end is near."""
    server.announce_end()
    said = list(frames(server.out()))
    assert [(kind, flags, stream) for kind, flags, stream, _ in said] == [(GOAWAY, 0, 0), (PING, 0, 0)]
    assert said[0][3] == _ALL
    return said[1][3]


def test_calls_sent_before_the_end_was_heard_are_taken() -> None:
    server = greeted()
    feed(server, call_bytes(1, plain_block(), b"x"))
    asked = _announced(server)
    assert (server.ending, server.draining) == (True, False)
    assert [event[:2] for event in feed(server, call_bytes(3, plain_block(), b"x"))] == [(CALL, 3)]
    # What is behind the answer to the PING was sent by a client that knew better.
    assert feed(server, frame(PING, ACK, payload=asked) + call_bytes(5, plain_block(), b"x")) == []
    assert server.draining
    assert list(frames(server.out())) == [(GOAWAY, 0, 0, struct.pack(">II", 3, 0))]
    server.answer(1, b"")
    server.answer(3, b"")
    assert {stream for kind, _, stream, _ in frames(server.out()) if kind == HEADERS} == {1, 3}


def test_only_the_answer_to_its_own_ping_says_that_the_end_was_heard() -> None:
    server = greeted()
    server.ping()
    (_, _, _, other) = next(frames(server.out()))
    asked = _announced(server)
    feed(server, frame(PING, ACK, payload=other) + frame(PING, ACK, payload=bytes(8)) + frame(PING, payload=asked))
    assert not server.draining
    feed(server, frame(PING, ACK, payload=asked))
    assert server.draining


def test_an_end_that_nobody_announced_is_not_heard_of() -> None:
    other = greeted()
    server = greeted()
    feed(server, frame(PING, ACK, payload=_announced(other)))
    assert not server.ending
    assert server.out() == b""


def test_the_end_is_said_once() -> None:
    server = greeted()
    _announced(server)
    server.announce_end()
    assert server.out() == b""
    server.drain()
    server.drain()
    assert [kind for kind, *_ in frames(server.out())] == [GOAWAY]
    server.announce_end()
    assert server.out() == b""


def test_the_end_is_announced_behind_the_greeting() -> None:
    server = made()
    server.announce_end()
    events = feed(server, PREFACE + frame(SETTINGS) + call_bytes(1, plain_block(), b"x"))
    assert [event[:2] for event in events] == [(CALL, 1)]
    kinds = [kind for kind, *_ in frames(server.out())]
    assert kinds[0] == SETTINGS
    assert kinds.index(GOAWAY) < kinds.index(PING)
