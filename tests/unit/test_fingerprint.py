"""Fingerprints: XXH64 as published, and what does not change them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import fingerprint
from collector.decode.fingerprint import Ordinals, attributes, value, xxh64
from tests.support import generated
from tests.support.otlp import any_value
from tests.support.otlp import attributes as pairs_of


@pytest.mark.parametrize(
    ("data", "seed", "expected"),
    [  # of the reference implementation's own tests and of python-xxhash
        (b"", 0, 0xEF46DB3751D8E999),
        (b"a", 0, 0xD24EC4F1A98C6E5B),
        (b"abc", 0, 0x44BC2CF5AD770999),
        (b"Nobody inspects the spammish repetition", 0, 0xFBCEA83C8A378BF1),
        (b"xxhash", 20141025, 13067679811253438005),
    ],
)
def test_known_values(data: bytes, seed: int, expected: int) -> None:
    assert xxh64(data, seed) == expected


@given(generated.attribute_lists.flatmap(lambda pairs: st.tuples(st.just(pairs), st.permutations(pairs))))
def test_the_order_of_attributes_does_not_matter(both: tuple[list[Any], list[Any]]) -> None:
    one, other = both
    assert attributes(one) == attributes(other)


def test_attributes_are_a_multiset() -> None:
    once, twice = pairs_of({"k": "v"}), pairs_of([("k", "v"), ("k", "v")])
    assert len({attributes(pairs) for pairs in ([], once, twice)}) == 3


def test_kinds_of_values_differ() -> None:
    plain: list[Any] = [None, "", "1", 1, 1.0, True, b"1", ["1"], [], {}, {"1": None}, [[]], 0, False, 0.0, -0.0, b""]
    assert len({value(any_value(one)) for one in plain}) == len(plain)
    assert value(any_value(math.nan)) == value(any_value(math.nan))


def test_equal_rows_of_a_request_are_numbered() -> None:
    ordinals = Ordinals()
    keys = [ordinals.row_key(number) for number in (5, 6, 5, 5)]
    assert len(set(keys)) == 4
    assert keys[:2] == [5, 6]
    assert keys == [Ordinals().row_key(5), 6, keys[2], keys[3]]
    assert (keys[3] - keys[2]) % 2**64 == fingerprint.ORDINAL_STEP
