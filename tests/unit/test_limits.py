"""The byte budget of requests in flight: held, given back, refused at the door."""

import pytest

from collector.admit.limits import Limits
from collector.errors import Reason, Unavailable


def held(limits: Limits) -> int:
    return limits.statistics().in_flight_bytes


def test_bytes_are_held_while_in_the_block_and_given_back() -> None:
    limits = Limits(100)
    with limits.reserve(40) as first:
        with limits.reserve() as second:
            second.grow_to(60)
            assert (held(limits), second.size) == (100, 60)
            second.grow_to(10)
            assert held(limits) == 100  # a reservation never shrinks
        assert held(limits) == 40
        first.grow_to(100)
        assert held(limits) == 100
    assert held(limits) == 0
    assert limits.statistics().max_in_flight_bytes == 100


def test_more_than_the_budget_is_refused_for_now() -> None:
    limits = Limits(100)
    with limits.reserve(60):
        with pytest.raises(Unavailable) as refused, limits.reserve(41):
            pytest.fail("it was taken")
        assert refused.value.reason is Reason.BUSY
        assert refused.value.retry_after > 0
        assert "60 bytes" in str(refused.value)
        assert held(limits) == 60
        with limits.reserve(40):
            assert held(limits) == 100


def test_a_refusal_to_grow_gives_back_what_was_held() -> None:
    limits = Limits(100)
    with limits.reserve(60):
        with pytest.raises(Unavailable), limits.reserve(10) as growing:
            growing.grow_to(41)
        assert held(limits) == 60


def test_a_failure_inside_gives_the_bytes_back() -> None:
    limits = Limits(100)
    with pytest.raises(ZeroDivisionError), limits.reserve(60):
        raise ZeroDivisionError
    assert held(limits) == 0


def test_a_request_larger_than_the_budget_passes_when_alone() -> None:
    limits = Limits(100)
    with limits.reserve(1000):
        assert held(limits) == 1000
        with pytest.raises(Unavailable), limits.reserve(1):
            pytest.fail("it was taken")


def test_it_passes_also_when_it_arrives_in_parts() -> None:
    """Else its sender would be told to come back for ever."""
    limits = Limits(100)
    with limits.reserve() as alone:
        for size in (50, 90, 150, 1000):
            alone.grow_to(size)
        with limits.reserve() as other:
            other.grow_to(0)
            with pytest.raises(Unavailable):
                other.grow_to(1)
    assert held(limits) == 0
    with limits.reserve(1), limits.reserve() as late:
        late.grow_to(99)
        with pytest.raises(Unavailable):
            late.grow_to(100)
