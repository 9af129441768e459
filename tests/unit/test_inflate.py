"""Decompression: every member of every coding, broken streams refused, and no output beyond the limit, ever."""

import gzip
import os
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Reason, Rejected
from collector.receive.inflate import compression, inflate, known

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1024 * 1024
LIMIT = 4 * MIB
CODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}
DATA = os.urandom(3000) + b"text " * 40_000
every_coding = pytest.mark.parametrize("coding", CODERS)


def refused(body: bytes, coding: str, limit: int = LIMIT) -> Rejected:
    with pytest.raises(Rejected) as caught:
        inflate(body, coding, limit)
    return caught.value


@pytest.mark.parametrize("coding", ["", "identity", " Identity "])
def test_identity_is_the_same_bytes(coding: str) -> None:
    assert inflate(DATA, coding, 1) is DATA
    assert known(coding)


@every_coding
@given(data=st.binary(max_size=200))
def test_round_trip(coding: str, data: bytes) -> None:
    assert inflate(CODERS[coding](data), coding, 200) == data


@every_coding
@pytest.mark.parametrize("size", [0, 1, 32 * 1024, MIB - 1, MIB, MIB + 1, LIMIT])
def test_sizes_around_the_steps(coding: str, size: int) -> None:
    for data in (bytes(size), os.urandom(size)):
        assert inflate(CODERS[coding](data), coding, LIMIT) == data


@pytest.mark.parametrize("coding", ["GZIP", " gzip ", "x-gzip", "Deflate", "ZSTD"])
def test_names_are_case_insensitive(coding: str) -> None:
    name = coding.strip().lower().removeprefix("x-")
    assert known(coding)
    assert inflate(CODERS[name](DATA), coding, LIMIT) == DATA


@pytest.mark.parametrize("coding", ["br", "snappy", "gzip, gzip", "x-unknown", "compress"])
def test_other_codings_are_refused_by_name(coding: str) -> None:
    assert not known(coding)
    error = refused(DATA, coding)
    assert error.reason is Reason.ENCODING
    assert repr(coding) in str(error)


@every_coding
def test_all_members_are_the_body(coding: str) -> None:
    encode = CODERS[coding]
    body = b"".join(map(encode, (DATA[:10], b"", DATA[10:5000], DATA[5000:])))
    assert inflate(body, coding, LIMIT) == DATA
    assert refused(body, coding, len(DATA) - 1).reason is Reason.TOO_LARGE


@pytest.mark.parametrize("zeros", [1, 7, 100_000])
def test_zeros_after_gzip_are_padding(zeros: int) -> None:
    assert inflate(gzip.compress(DATA) + bytes(zeros), "gzip", LIMIT) == DATA


@every_coding
@pytest.mark.parametrize("rest", [b"garbage", b"\0\0x", b"\x1f"])
def test_garbage_after_the_stream_is_refused(coding: str, rest: bytes) -> None:
    assert refused(CODERS[coding](DATA) + rest, coding).reason is Reason.MALFORMED


@every_coding
def test_cut_anywhere_it_is_refused(coding: str) -> None:
    body = CODERS[coding](DATA[:3400])
    for end in [*range(40), *range(len(body) - 40, len(body))]:
        error = refused(body[:end], coding)
        assert error.reason is Reason.MALFORMED
        assert str(error).endswith(".")


def test_a_wrong_checksum_or_length_is_refused() -> None:
    body = gzip.compress(DATA)
    for at in (-1, -4, -5, -8):
        broken = bytearray(body)
        broken[at] ^= 1
        assert refused(bytes(broken), "gzip").reason is Reason.MALFORMED


@every_coding
def test_what_is_not_compressed_is_refused(coding: str) -> None:
    for body in (b"", b"\x0a\x02plain protobuf", b"\xff" * 100):
        assert refused(body, coding).reason is Reason.MALFORMED


@every_coding
@given(flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=3))
def test_damage_is_refused_or_harmless(coding: str, flips: list[tuple[int, int]]) -> None:
    body = bytearray(CODERS[coding](DATA[:3200]))
    for at, change in flips:
        body[at % len(body)] ^= change
    try:
        assert len(inflate(bytes(body), coding, LIMIT)) <= LIMIT
    except Rejected as error:
        reason = error.reason
        assert reason in (Reason.MALFORMED, Reason.TOO_LARGE)


def bomb(coding: str) -> bytes:
    """256 MiB of zeros."""
    if coding == "zstd":
        compressor = zstd.ZstdCompressor()
        parts = [compressor.compress(bytes(MIB)) for _ in range(256)]
        return b"".join([*parts, compressor.flush()])
    stream = zlib.compressobj(9, zlib.DEFLATED, 31 if coding == "gzip" else 15)
    parts = [stream.compress(bytes(MIB)) for _ in range(256)]
    return b"".join([*parts, stream.flush()])


@every_coding
def test_a_bomb_is_refused_at_the_limit_and_memory_stays_bounded(coding: str) -> None:
    body = bomb(coding)
    tracemalloc.start()
    try:
        error = refused(body, coding)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert error.reason is Reason.TOO_LARGE
    assert str(LIMIT) in str(error)
    assert peak < LIMIT + 4 * MIB


@every_coding
def test_the_limit_is_inclusive(coding: str) -> None:
    body = CODERS[coding](bytes(LIMIT))
    assert len(inflate(body, coding, LIMIT)) == LIMIT
    assert refused(body, coding, LIMIT - 1).reason is Reason.TOO_LARGE


@every_coding
def test_a_body_of_empty_members_costs_no_more_than_its_size(coding: str) -> None:
    """Each member used to cost a copy of the rest of the body: a few MiB of them stopped the server for minutes."""
    body = CODERS[coding](b"") * 300_000
    begin = process_time()
    error = refused(body, coding)
    assert process_time() - begin < 5
    assert error.reason is Reason.MALFORMED
    assert "more than 10000 members" in str(error)
    assert inflate(CODERS[coding](b"") * 2000, coding, 0) == b""


def test_a_large_body_is_not_copied_at_every_step() -> None:
    body = gzip.compress(os.urandom(32 * MIB), 1)
    begin = process_time()
    assert len(inflate(body, "gzip", 64 * MIB)) == 32 * MIB
    assert process_time() - begin < 3


def test_the_window_of_a_zstd_frame_is_bounded() -> None:
    options: dict[int, int] = {
        zstd.CompressionParameter.window_log: 30,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(b"x" * 1000, zstd.ZstdCompressor.FLUSH_BLOCK) + compressor.flush()
    assert refused(body, "zstd").reason is Reason.MALFORMED


@pytest.mark.parametrize(
    ("message", "coding"),
    [
        (gzip.compress(DATA, mtime=0), "gzip"),
        *((zlib.compress(DATA, level), "deflate") for level in (0, 1, 6, 9)),
        (b"", ""),
        (b"\x78", ""),
        (b"\x78\x00", ""),
        (b"\x0a\x05hello", ""),
    ],
)
def test_a_grpc_message_tells_its_coding(message: bytes, coding: str) -> None:
    assert compression(message) == coding
