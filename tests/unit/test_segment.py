"""The segment format against everything a disk can do to it."""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model.envelope import Envelope, Signal
from collector.spool import Segment
from collector.spool.segment import HEADER, Damage, encode_frame, read_frames
from tests.support import spans

envelopes = st.builds(
    Envelope,
    project=st.text(st.characters(codec="utf-8"), max_size=20),
    received_at=st.integers(0, 2**63 - 1),
    items=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=200),
    digest=st.binary(min_size=16, max_size=16),
    signal=st.sampled_from(Signal),
)

SMALL = [
    Envelope("default", 1_767_323_045_000_000_000, 2, b"payload one", bytes(range(16))),
    Envelope("müller", 1, 0, b"", bytes(16), Signal.LOGS),
    Envelope("", 2**63 - 1, 2**32 - 1, b"\x00SPFR\x00SPANSEG1", b"\xff" * 16, Signal.METRICS),
]


ID = "188a3f2b1c000000c0ffee00"


def frame(envelope: Envelope) -> bytes:
    return encode_frame(envelope, ID)


def segment(contents: list[Envelope]) -> bytes:
    return HEADER + b"".join(map(frame, contents))


def boundaries(contents: list[Envelope]) -> list[int]:
    """Offsets at which a frame begins, and the end."""
    offsets = [len(HEADER)]
    for envelope in contents:
        offsets.append(offsets[-1] + len(frame(envelope)))
    return offsets


def split(data: bytes) -> tuple[list[Envelope], list[Damage]]:
    found = list(read_frames(io.BytesIO(data), len(data), ID))
    return (
        [item for item in found if isinstance(item, Envelope)],
        [item for item in found if isinstance(item, Damage)],
    )


@given(st.lists(envelopes, max_size=8))
def test_what_is_written_is_read(contents: list[Envelope]) -> None:
    assert split(segment(contents)) == (contents, [])


def test_torn_at_every_byte_yields_a_prefix_and_says_torn() -> None:
    whole = segment(SMALL)
    ends = boundaries(SMALL)
    for cut in range(len(whole)):
        kept, damage = split(whole[:cut])
        complete = sum(end <= cut for end in ends[1:])
        assert kept == SMALL[:complete], cut
        begin = max((end for end in ends if end <= cut), default=0)
        expected = [Damage(begin, whole[begin:cut], torn=True)] if cut > begin else []
        assert damage == expected, cut


@given(st.lists(envelopes, min_size=1, max_size=4), st.data())
def test_a_torn_segment_yields_a_prefix(contents: list[Envelope], data: st.DataObject) -> None:
    whole = segment(contents)
    cut = data.draw(st.integers(0, len(whole)))
    kept, damage = split(whole[:cut])
    assert kept == contents[: len(kept)]
    assert len(damage) <= 1
    assert all(item.torn for item in damage)


@pytest.mark.parametrize("zeros", [1, 11, 12, 13, 4096])
def test_blocks_never_written_are_torn(zeros: int) -> None:
    whole = segment(SMALL)
    kept, damage = split(whole + bytes(zeros))
    assert kept == SMALL
    assert damage == [Damage(len(whole), bytes(zeros), torn=True)]


def test_a_flip_of_every_bit_costs_only_its_frame_and_is_reported() -> None:
    whole = segment(SMALL)
    ends = boundaries(SMALL)
    for bit in range(len(whole) * 8):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        hit = sum(end <= bit // 8 for end in ends) - 1  # -1 is the header
        kept, damage = split(bytes(flipped))
        assert kept == [envelope for number, envelope in enumerate(SMALL) if number != hit], bit
        begin, end = (0, len(HEADER)) if hit == -1 else (ends[hit], ends[hit + 1])
        assert damage == [Damage(begin, bytes(flipped[begin:end]), torn=False)], bit


@given(st.lists(envelopes, min_size=1, max_size=5), st.data())
def test_a_flipped_bit_costs_one_frame(contents: list[Envelope], data: st.DataObject) -> None:
    flipped = bytearray(segment(contents))
    bit = data.draw(st.integers(len(HEADER) * 8, len(flipped) * 8 - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    hit = sum(end <= bit // 8 for end in boundaries(contents)) - 1
    kept, damage = split(bytes(flipped))
    assert kept == contents[:hit] + contents[hit + 1 :]
    assert [item.torn for item in damage] == [False]


@given(st.lists(envelopes, min_size=1, max_size=4), st.lists(envelopes, min_size=1, max_size=4), st.binary(max_size=60))
def test_reading_goes_on_after_foreign_bytes(before: list[Envelope], after: list[Envelope], noise: bytes) -> None:
    tail = b"".join(map(frame, after))
    kept, damage = split(segment(before) + noise + tail)
    assert kept == before + after
    assert b"".join(item.data for item in damage) == noise
    assert not any(item.torn for item in damage)


@given(envelopes, st.data())
def test_a_frame_inside_a_payload_is_never_taken_for_one(inner: Envelope, data: st.DataObject) -> None:
    """A client may send a segment's bytes as content: damage around them must not bring them to life."""
    foreign = HEADER + encode_frame(inner, "188a3f2b1c000000deadbeef")
    outer = Envelope("default", 1, 1, foreign, bytes(16))
    follower = Envelope("default", 2, 1, b"follower", bytes(16))
    flipped = bytearray(segment([outer, follower]))
    bit = data.draw(st.integers(len(HEADER) * 8, (len(HEADER) + len(frame(outer))) * 8 - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    assert split(bytes(flipped))[0] == [follower]
    cut = data.draw(st.integers(len(HEADER), len(HEADER) + len(frame(outer)) - 1))
    assert split(segment([outer])[:cut])[0] == []


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_arbitrary_bytes_never_raise_and_lose_nothing(data: bytes) -> None:
    for prefix in (b"", HEADER, HEADER + b"SPFR"):
        _, damage = split(prefix + data)
        kept = len(HEADER) if (prefix + data).startswith(HEADER) else 0
        assert b"".join(item.data for item in damage) == (prefix + data)[kept:]


FIXTURES = Path(__file__).parent.parent / "fixtures" / "spool"
OLD = [
    spans.envelope(1, ["chat", "tool"]),
    Envelope("müller", 1_767_323_045_000_000_000, 0, b"", bytes(range(16))),
]


def test_a_segment_written_before_frames_had_a_signal_holds_traces() -> None:
    """And traces are still written in these bytes, so that the version before can read what this one leaves."""
    path = FIXTURES / f"{ID}.seg"
    assert list(Segment(ID, path, path.stat().st_size).read()) == OLD
    assert {envelope.signal for envelope in OLD} == {Signal.TRACES}
    assert path.read_bytes() == segment(OLD)


def test_a_frame_of_an_unknown_signal_is_damage_and_the_others_are_read() -> None:
    """What a version before reads of logs, and this one of a signal to come."""
    unknown = b"SPFX" + frame(SMALL[1])[4:]
    before, after = SMALL[0], SMALL[2]
    kept, damage = split(HEADER + frame(before) + unknown + frame(after))
    assert kept == [before, after]
    assert damage == [Damage(len(HEADER) + len(frame(before)), unknown, torn=False)]
    assert split(HEADER + unknown) == ([], [Damage(len(HEADER), unknown, torn=False)])


@pytest.mark.parametrize("other", [b"SPFR", b"SPFL", b"SPFM"])
def test_a_frame_is_never_read_as_another_signal(other: bytes) -> None:
    for envelope in SMALL:
        changed = other + frame(envelope)[4:]
        if changed != frame(envelope):
            assert split(HEADER + changed) == ([], [Damage(len(HEADER), changed, torn=False)])
