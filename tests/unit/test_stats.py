"""Published figures, and the libraries that others trust, for every test and interval."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from collector.stats.intervals import Interval, student_quantile, student_two_sided
from collector.stats.multiple import benjamini_hochberg, holm
from collector.stats.paired import (
    geometric_ratio,
    mcnemar_exact,
    mcnemar_mid_p,
    mean_interval,
    seed_of,
    sign_flip,
    totals_ratio,
)
from collector.stats.power import detectable_change, detectable_drop, drop_power
from collector.stats.proportions import PairedCounts, independent_difference, paired_difference, wilson

few_counts = st.integers(0, 60)
probabilities = st.floats(1e-6, 1)


def near(interval: Interval, low: float, high: float) -> bool:
    return interval == pytest.approx((low, high), abs=5.1e-5)


@pytest.mark.parametrize(
    ("new_only", "old_only", "mid_p", "exact"),
    [
        (0, 5, 0.03125, 0.0625),
        (1, 8, 0.0214844, 0.0390625),
        (2, 10, 0.0224609, 0.0385742),
        (5, 15, 0.0266037, 0.0413895),
        (10, 24, 0.0166738, 0.0243065),
        (121, 59, 3.26665e-6, 4.43445e-6),
        (0, 0, 1.0, 1.0),
    ],
)
def test_mcnemar(new_only: int, old_only: int, mid_p: float, exact: float) -> None:
    assert mcnemar_mid_p(new_only, old_only) == pytest.approx(mid_p, rel=4e-6)
    assert mcnemar_mid_p(old_only, new_only) == mcnemar_mid_p(new_only, old_only)
    assert mcnemar_exact(new_only, old_only) == pytest.approx(exact, rel=4e-6)


@settings(deadline=None, max_examples=50)
@given(few_counts, few_counts)
def test_mcnemar_is_that_of_statsmodels(new_only: int, old_only: int) -> None:
    expected = float(mcnemar([[1, new_only], [old_only, 1]], exact=True).pvalue) if new_only + old_only else 1.0
    assert mcnemar_exact(new_only, old_only) == pytest.approx(expected, rel=1e-9)
    at = float(stats.binom.pmf(min(new_only, old_only), new_only + old_only, 0.5))
    assert mcnemar_mid_p(new_only, old_only) == pytest.approx(1.0 if new_only == old_only else expected - at, rel=1e-9)


@pytest.mark.parametrize(
    ("counts", "value", "low", "high"),
    [
        ((36, 12, 2, 0), 0.2, 0.0569, 0.3404),
        ((20, 12, 2, 16), 0.2, 0.0562, 0.3292),
        ((45, 1, 4, 0), -0.06, -0.1703, 0.0396),
        ((50, 0, 0, 0), 0.0, -0.0713, 0.0713),
        ((40, 0, 5, 5), -0.1, -0.2077, -0.0053),
    ],
)
def test_paired_difference(counts: tuple[int, int, int, int], value: float, low: float, high: float) -> None:
    found = paired_difference(PairedCounts(*counts))
    assert found.value == pytest.approx(value)
    assert near(found.interval, low, high)


@settings(deadline=None)
@given(few_counts, few_counts, few_counts, few_counts)
def test_a_paired_difference_lies_in_its_interval_and_turns_with_the_sides(a: int, b: int, c: int, d: int) -> None:
    value, (low, high) = paired_difference(PairedCounts(a, b, c, d))
    turned, (turned_low, turned_high) = paired_difference(PairedCounts(a, c, b, d))
    assert -1 <= low <= value <= high <= 1
    assert (turned, turned_low, turned_high) == pytest.approx((-value, -high, -low))


def test_independent_difference() -> None:
    found = independent_difference((56, 70), (48, 80))
    assert found.value == pytest.approx(0.2)
    assert near(found.interval, 0.0524, 0.3339)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 200), st.integers(1, 200), st.data())
def test_independent_difference_is_that_of_statsmodels(new: int, old: int, data: st.DataObject) -> None:
    new_passed, old_passed = data.draw(st.integers(0, new)), data.draw(st.integers(0, old))
    low, high = confint_proportions_2indep(new_passed, new, old_passed, old, method="newcomb", compare="diff")
    assert independent_difference((new_passed, new), (old_passed, old)).interval == pytest.approx((low, high), abs=1e-9)


@pytest.mark.parametrize(
    ("passed", "cases", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson(passed: int, cases: int, low: float, high: float) -> None:
    assert near(wilson(passed, cases), low, high)


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 5_000), st.data())
def test_wilson_is_that_of_statsmodels(cases: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, cases))
    assert wilson(passed, cases) == pytest.approx(proportion_confint(passed, cases, method="wilson"), abs=1e-9)


def test_nothing_is_known_of_no_cases() -> None:
    assert wilson(0, 0) == (0, 1)
    assert paired_difference(PairedCounts(0, 0, 0, 0)).interval == (-1, 1)
    assert independent_difference((0, 0), (0, 0)).interval == (-1, 1)


def test_sign_flip() -> None:
    assert sign_flip([-0.2, 0.1, -0.4, -0.1, 0, -0.3, -0.2, 0.1], seed=0) == 36 / 256


@settings(deadline=None)
@given(st.lists(st.integers(-20, 20), min_size=2, max_size=9))
def test_sign_flip_is_that_of_scipy(whole: list[int]) -> None:
    values = [one / 10 for one in whole]
    found = stats.permutation_test(
        (np.array(whole),), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    expected = float(np.mean(np.abs(found.null_distribution) >= abs(sum(whole))))
    assert sign_flip(values, seed=0) == pytest.approx(expected)


def test_many_signs_are_drawn_the_same_way_each_time_and_come_near_to_a_t_test() -> None:
    values = np.random.default_rng(5).normal(-0.2, 1.0, 80).tolist()
    p = sign_flip(values, seed_of(["b", "a"]))
    assert p == sign_flip(values, seed_of(["a", "b"]))
    assert p == pytest.approx(float(stats.ttest_1samp(values, 0).pvalue), abs=0.02)
    assert sign_flip([1.0] * 40, seed=1) == 1 / 10_000


def test_seeds_tell_names_apart() -> None:
    assert len({seed_of(names) for names in (["ab"], ["a", "b"], ["b", "a", "a"], [])}) == 4


@settings(deadline=None, max_examples=10)
@given(st.lists(st.floats(-1, 1), min_size=8, max_size=40, unique=True))
def test_the_interval_of_a_mean_is_that_of_scipy(values: list[float]) -> None:
    found = mean_interval(values, seed=3)
    expected = stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=9_999, rng=np.random.default_rng(7)
    ).confidence_interval
    spread = float(np.std(values)) / math.sqrt(len(values))
    assert found == pytest.approx((expected.low, expected.high), abs=0.25 * spread)


def test_a_mean_of_equal_values_has_no_spread() -> None:
    assert mean_interval([0.25] * 12, seed=0) == (0.25, 0.25)


OLD, NEW = [0.010, 0.012, 0.020, 0.050, 0.008], [0.012, 0.013, 0.030, 0.055, 0.008]


def test_geometric_ratio() -> None:
    found = geometric_ratio(OLD, NEW)
    assert found.value == pytest.approx(1.1649, abs=5e-5)
    assert near(found.interval, 0.9604, 1.4129)
    assert found.p == pytest.approx(float(stats.ttest_rel(np.log(NEW), np.log(OLD)).pvalue))
    assert sum(NEW) / sum(OLD) == pytest.approx(1.18)


def test_a_ratio_of_one_case_or_of_equal_cases() -> None:
    assert geometric_ratio([1.0], [2.0]).interval == (0, math.inf)
    assert geometric_ratio([1.0, 3.0], [1.0, 3.0]) == (1.0, (1.0, 1.0), 1.0)
    assert geometric_ratio([1.0, 2.0], [2.0, 4.0]).p == 0.0


def test_the_interval_of_totals_holds_their_ratio() -> None:
    interval = totals_ratio(OLD, NEW, seed=1)
    assert interval.low < 1.18 < interval.high
    assert interval == totals_ratio(OLD, NEW, seed=1)
    assert totals_ratio([1.0], [2.0], seed=1) == (0, math.inf)
    assert totals_ratio([1.0, 2.0], [2.0, 4.0], seed=1) == pytest.approx((2, 2))


PS = [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216]


def test_benjamini_hochberg() -> None:
    expected = [0.01, 0.04, 0.084, 0.084, 0.084, 0.1, 0.1057, 0.216, 0.216, 0.216]
    assert benjamini_hochberg(PS) == pytest.approx(expected, abs=5e-5)


@settings(deadline=None, max_examples=8)
@given(st.lists(probabilities, min_size=1, max_size=30))
def test_corrections_are_those_of_statsmodels(ps: Sequence[float]) -> None:
    assert benjamini_hochberg(ps) == pytest.approx(multipletests(ps, method="fdr_bh")[1].tolist())
    assert holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist())


@settings(deadline=None, max_examples=50)
@given(st.floats(-60, 60), st.integers(1, 400))
def test_student_is_that_of_scipy(t: float, freedom: int) -> None:
    assert student_two_sided(t, freedom) == pytest.approx(2 * float(special.stdtr(freedom, -abs(t))), rel=1e-8)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 0.999), st.integers(1, 400))
def test_quantiles_of_student_are_those_of_scipy(probability: float, freedom: int) -> None:
    assert student_quantile(probability, freedom) == pytest.approx(
        float(special.stdtrit(freedom, probability)), rel=1e-6, abs=1e-9
    )


def test_five_cases_that_newly_fail_are_what_a_gate_without_noise_can_see() -> None:
    assert detectable_drop(20, noise=0.0) is not None
    # Five of twenty have to fail; with 0.8 that happens from a fall of a third on.
    assert detectable_drop(20, noise=0.0) == pytest.approx(0.35)
    assert detectable_drop(4, noise=0.0) is None


@pytest.mark.parametrize(
    ("cases", "drop", "low", "high"), [(100, 0.2, 0.85, 0.95), (500, 0.05, 0.48, 0.6), (20, 0.05, 0.02, 0.1)]
)
def test_the_power_of_a_gate(cases: int, drop: float, low: float, high: float) -> None:
    assert low < drop_power(cases, drop, noise=0.2625, alpha=0.05) < high


def test_more_cases_see_less() -> None:
    seen = [detectable_drop(cases, noise=0.2) or 1.0 for cases in (20, 50, 100, 200, 500, 2_000, 8_000)]
    assert seen == sorted(seen, reverse=True)
    assert detectable_drop(200, noise=0.0, min_effect=0.5) == pytest.approx(0.5, abs=0.06)


def test_the_change_of_a_mean_that_can_be_seen() -> None:
    differences = np.random.default_rng(2).normal(0, 1, 50).tolist()
    least = detectable_change(differences)
    assert least is not None
    error = float(np.std(differences, ddof=1)) / math.sqrt(50)
    power = float(stats.nct.sf(stats.t.ppf(0.975, 49), 49, least / error))
    assert power == pytest.approx(0.8, abs=0.01)
    assert detectable_change([1.0]) is None
