"""Money: exact in, exact out, rounded once."""

from decimal import Decimal, getcontext, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.money import MAX_PICODOLLARS, apportion, fits, nearest, picodollars, usd, usd_text


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        ("0.15", 150_000_000_000),
        (Decimal("0.000000000001"), 1),
        (3, 3 * 10**12),
        ("1e-12", 1),
        ("-2.5", -2_500_000_000_000),
        ("0.0000000000005", 0),  # half to even
        ("0.0000000000015", 2),
        ("0.00000000000050000000000000000000000000000000000000001", 1),
        ("1e-999999999", 0),
        ("0e-400", 0),
        ("0e999999", 0),
        ("999999.999999999999", MAX_PICODOLLARS),
    ],
)
def test_an_amount_becomes_picodollars(amount: Decimal | int | str, expected: int) -> None:
    assert picodollars(amount) == expected


@pytest.mark.parametrize(
    "amount", ["", "free", "nan", "inf", "-Infinity", "1e6", "1e999999999", "999999.9999999999999", "0x10", None, []]
)
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="amount of money"):
        picodollars(amount)


@given(st.integers(-MAX_PICODOLLARS, MAX_PICODOLLARS))
def test_usd_and_back(pico: int) -> None:
    with localcontext(prec=3):  # exact whatever the thread's context
        amount = usd(pico)
        assert picodollars(amount) == pico
    assert amount.as_tuple().exponent == -12
    assert fits(pico)
    assert getcontext().prec == 28


def test_the_column_ends_below_a_million() -> None:
    assert not fits(MAX_PICODOLLARS + 1)
    assert not fits(-MAX_PICODOLLARS - 1)


@given(st.integers(-(10**30), 10**30), st.one_of(st.integers(1, 10**20), st.sampled_from((2, 4, 10))))
def test_nearest_is_half_to_even(numerator: int, denominator: int) -> None:
    assert nearest(numerator, denominator) == round(Fraction(numerator, denominator))


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 10**30), max_size=8), st.integers(1, 10**16))
def test_lines_add_up_to_the_rounded_total(shares: dict[str, int], denominator: int) -> None:
    total, lines = apportion(shares, denominator)
    assert total == round(Fraction(sum(shares.values()), denominator))
    assert sum(lines.values()) == total
    assert lines.keys() == shares.keys()
    assert all(abs(lines[name] - Fraction(shares[name], denominator)) < 1 for name in shares)


@given(st.integers(-(10**30), 10**30))
def test_money_as_text_has_the_digits_of_the_decimal(pico: int) -> None:
    assert usd_text(pico) == format(usd(pico), "f")
