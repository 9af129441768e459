"""Agreement against published tables and statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats import inter_rater

from collector.stats.agreement import (
    Stratum,
    corrected_rate,
    corrected_rate_interval,
    fleiss_kappa,
    flip_rate,
    kappa,
    krippendorff_alpha,
    krippendorff_interval_alpha,
    quadratic_kappa,
    weighted_kappa_interval,
    weighted_rates,
)

FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
# Three people, fifteen items; not everybody saw every item.
KRIPPENDORFF = ["*****34121133*3", "1*213343*******", "**21344*21133*4"]


@pytest.mark.parametrize(
    ("table", "value"),
    [
        ([[20, 5], [10, 15]], 0.4),
        ([[45, 15], [25, 15]], 0.1304),
        ([[25, 35], [5, 35]], 0.2593),
        ([[85, 5], [8, 2]], 0.1667),
    ],
)
def test_kappa(table: list[list[int]], value: float) -> None:
    assert kappa(table).value == pytest.approx(value, abs=5e-5)


def test_the_interval_of_kappa() -> None:
    assert kappa([[20, 5], [10, 15]]).interval == pytest.approx((0.151, 0.649), abs=5e-4)


def test_quadratic_kappa() -> None:
    assert quadratic_kappa([[11, 6, 1], [3, 9, 4], [1, 2, 13]]).value == pytest.approx(0.6579, abs=5e-5)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.integers(1, 40), min_size=9, max_size=9))
def test_kappa_is_that_of_statsmodels(counts: list[int]) -> None:
    table = np.array(counts).reshape(3, 3)
    plain, ordered = inter_rater.cohens_kappa(table), inter_rater.cohens_kappa(table, wt="quadratic")
    assert kappa(table.tolist()).value == pytest.approx(plain.kappa)
    assert kappa(table.tolist()).interval == pytest.approx((plain.kappa_low, plain.kappa_upp))
    assert quadratic_kappa(table.tolist()).value == pytest.approx(ordered.kappa)
    assert quadratic_kappa(table.tolist()).interval == pytest.approx((ordered.kappa_low, ordered.kappa_upp))


def test_kappa_of_one_label_or_of_nothing_is_unknown() -> None:
    assert math.isnan(kappa([[12, 0], [0, 0]]).value)
    assert math.isnan(kappa([[0, 0], [0, 0]]).value)


def test_fleiss() -> None:
    assert fleiss_kappa(FLEISS) == pytest.approx(0.2099, abs=5e-5)
    assert fleiss_kappa(FLEISS) == pytest.approx(inter_rater.fleiss_kappa(np.array(FLEISS)))


def _units() -> list[list[int]]:
    return [[int(said) for said in item if said != "*"] for item in zip(*KRIPPENDORFF, strict=True)]


def test_krippendorff() -> None:
    assert krippendorff_alpha(_units()) == pytest.approx(0.6914, abs=5e-5)
    assert krippendorff_interval_alpha(_units()) == pytest.approx(0.8108, abs=5e-5)
    assert krippendorff_alpha([["pass", "pass"], ["fail", "fail"]]) == 1
    assert math.isnan(krippendorff_alpha([["pass"], ["fail"]]))


def test_labels_of_each_verdict_are_weighted_back() -> None:
    found = weighted_rates(Stratum(48, 2, 0.8), Stratum(15, 35, 0.2))
    assert (found.sensitivity, found.specificity, found.kappa) == pytest.approx((0.93, 0.81, 0.70), abs=5e-3)
    naive = weighted_rates(Stratum(48, 2, 0.5), Stratum(15, 35, 0.5))
    assert (naive.sensitivity, naive.specificity, naive.kappa) == pytest.approx((0.76, 0.95, 0.66), abs=5e-3)


def test_the_interval_of_a_weighted_kappa_holds_it() -> None:
    strata = Stratum(48, 2, 0.8), Stratum(15, 35, 0.2)
    low, high = weighted_kappa_interval(*strata, seed=4)
    assert low < weighted_rates(*strata).kappa < high
    assert high - low < 0.5
    assert (low, high) == weighted_kappa_interval(*strata, seed=4)


def test_the_rate_people_would_find() -> None:
    assert corrected_rate(0.70, 0.95, 0.70) == pytest.approx(0.615, abs=5e-4)
    assert corrected_rate(0.70, 0.55, 0.50) is None
    interval = corrected_rate_interval((700, 1_000), (95, 100), (70, 100), seed=1)
    assert interval is not None
    assert interval.low < 0.615 < interval.high
    assert corrected_rate_interval((70, 100), (11, 20), (11, 20), seed=1) is None


def test_flips() -> None:
    assert flip_rate([[True, False], [True, True], [False, False, True]]) == 0.5
    assert flip_rate([[True], []]) is None
