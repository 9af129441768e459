"""The retry window: who is remembered, for how long, and what a failed or restarted delivery means."""

import hashlib

import pytest

from collector.admit.dedupe import DedupeWindow
from collector.config import DedupeConfig
from collector.errors import Reason, Unavailable
from collector.model.envelope import NO_DIGEST, Envelope, Receipt, Signal
from collector.spool import SpoolAck
from tests.support.clock import FakeClock

TRACES = Signal.TRACES
RECEIPT = Receipt(accepted=3, rejected=1, message="one without a trace id")


def window(seconds: float = 600, entries: int = 100) -> tuple[DedupeWindow[SpoolAck], FakeClock]:
    clock = FakeClock()
    return DedupeWindow[SpoolAck](DedupeConfig(window=seconds, max_entries=entries), clock), clock


def test_the_same_bytes_of_the_same_project_are_found_with_their_receipt() -> None:
    seen, _ = window()
    digest = seen.digest(b"body")
    assert digest == hashlib.sha256(b"body").digest()[:16]
    assert seen.find(TRACES, "p", digest) is None
    seen.remember(TRACES, "p", digest, RECEIPT, None)
    found = seen.find(TRACES, "p", digest)
    assert found is not None
    assert found.receipt == RECEIPT
    assert seen.find(TRACES, "q", digest) is None
    assert seen.find(TRACES, "p", seen.digest(b"bodY")) is None
    assert (seen.statistics().entries, seen.statistics().hits) == (1, 1)


def test_the_same_bytes_as_another_signal_are_another_request() -> None:
    """An empty request is one of every signal."""
    seen, _ = window()
    digest = seen.digest(b"")
    seen.remember(TRACES, "p", digest, RECEIPT, None)
    assert seen.find(Signal.LOGS, "p", digest) is None
    seen.restore([Envelope("p", 1, 7, b"", digest, Signal.LOGS)])
    logs, traces = seen.find(Signal.LOGS, "p", digest), seen.find(TRACES, "p", digest)
    assert logs
    assert traces
    assert (logs.receipt, traces.receipt) == (Receipt(accepted=7), RECEIPT)


def test_deliveries_are_forgotten_after_the_window() -> None:
    seen, clock = window(seconds=10)
    for number in range(3):
        seen.remember(TRACES, "p", bytes([number]) * 16, RECEIPT, None)
        clock.advance(5)
    assert [seen.find(TRACES, "p", bytes([number]) * 16) is not None for number in range(3)] == [False, True, True]
    seen.remember(TRACES, "p", b"n" * 16, RECEIPT, None)
    assert seen.statistics().entries == 3


@pytest.mark.parametrize("size", [0, 1, 8 * 1024, 8 * 1024 + 1, 100_000])
def test_every_byte_of_a_body_counts(size: int) -> None:
    seen, _ = window()
    body = bytes(size)
    others = [body + b"\0", body[:-1], body[:-1] + b"\1", b"\1" + body[1:]] if size else [b"\0"]
    digests = {seen.digest(each) for each in [body, bytes(bytearray(body)), *others]}
    assert len(digests) == 1 + len(set(others))
    assert {len(digest) for digest in digests} == {16}


def test_a_second_delivery_starts_the_window_again() -> None:
    seen, clock = window(seconds=10)
    seen.remember(TRACES, "p", b"a" * 16, RECEIPT, None)
    seen.remember(TRACES, "p", b"b" * 16, RECEIPT, None)
    clock.advance(6)
    seen.remember(TRACES, "p", b"a" * 16, RECEIPT, None)
    clock.advance(6)
    assert seen.find(TRACES, "p", b"a" * 16) is not None
    assert seen.find(TRACES, "p", b"b" * 16) is None


def test_the_oldest_goes_when_there_are_too_many() -> None:
    seen, _ = window(entries=2)
    for name in (b"a", b"b", b"a", b"c"):
        seen.remember(TRACES, "p", name * 16, RECEIPT, None)
    assert [seen.find(TRACES, "p", name * 16) is not None for name in (b"a", b"b", b"c")] == [True, False, True]


def test_a_window_of_zero_remembers_nothing() -> None:
    seen, _ = window(seconds=0)
    assert seen.digest(b"body") == NO_DIGEST
    seen.remember(TRACES, "p", NO_DIGEST, RECEIPT, None)
    assert seen.find(TRACES, "p", NO_DIGEST) is None
    assert seen.statistics().entries == 0


def test_a_delivery_that_failed_is_stored_again() -> None:
    seen, _ = window()
    pending, failed, done = SpoolAck(), SpoolAck(), SpoolAck()
    failed.complete(Unavailable(Reason.DISK, "The disk is gone."))
    done.complete(None)
    for name, ack in zip(b"pfd", (pending, failed, done), strict=True):
        seen.remember(TRACES, "p", bytes([name]) * 16, RECEIPT, ack)
    found = {name: seen.find(TRACES, "p", name.encode() * 16) for name in "pfd"}
    assert found["f"] is None
    assert found["p"] is not None
    assert found["p"].ack is pending  # the retry waits for the first delivery
    assert found["d"] is not None


def test_what_was_durable_before_a_restart_is_known_again() -> None:
    seen, clock = window(seconds=60)
    known = Envelope("p", clock.time_ns(), 3, b"payload", seen.digest(b"as the client sent it"))
    without = Envelope("p", clock.time_ns(), 1, b"other")
    seen.restore([known, without])
    found = seen.find(TRACES, "p", known.digest)
    assert found is not None
    assert found.receipt == Receipt(accepted=3)
    assert seen.statistics().entries == 1
    assert seen.horizon == clock.time_ns() - 60 * 10**9
