"""The statistics agree with scipy's, and intervals cover what they promise."""

from __future__ import annotations

import math
from itertools import product
from random import Random

import pytest

from pytest_concur.measure import statistics

scipy_stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_signed_ranks_are_enumerated(count):
    """The chance of each sum of positive ranks is the share of sign patterns that give it."""
    sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in product([0, 1], repeat=count)]
    distribution = statistics._signed_rank_distribution(count)

    assert len(distribution) == count * (count + 1) // 2 + 1
    for value, chance in enumerate(distribution):
        assert chance == pytest.approx(sums.count(value) / 2**count)


@pytest.mark.parametrize("seed", range(20))
def test_signed_rank_interval_is_the_test_turned_round(seed):
    """A shift is inside the interval if and only if scipy's exact signed-rank test does not reject it."""
    random = Random(seed)
    differences = [random.gauss(0.1, 1) for _ in range(random.randint(10, 25))]
    interval = statistics.signed_rank_interval(differences, 0.95)

    for shift in [interval.low - 1e-6, interval.low + 1e-6, interval.high - 1e-6, interval.high + 1e-6]:
        p = scipy_stats.wilcoxon([each - shift for each in differences], mode="exact").pvalue
        assert (p > 0.05) == (interval.low < shift < interval.high)
    assert interval.low < interval.estimate < interval.high


def test_too_few_differences_give_no_interval():
    """Nine differences cannot carry 99.8 %, ten can: 2 / 2**10 < 0.002."""
    assert statistics.signed_rank_interval([1.0 + i / 10 for i in range(9)], 0.998).high == math.inf
    assert statistics.signed_rank_interval([1.0 + i / 10 for i in range(10)], 0.998).low == 1.0


@pytest.mark.parametrize("freedom", [3, 4, 5, 8, 13, 30, 100])
@pytest.mark.parametrize("share", [0.9, 0.95, 0.975, 0.99, 0.995, 0.999])
def test_t_quantile(share, freedom):
    """Within 3 % from 3 degrees of freedom on, within 0.2 % from 8 on, which is where it is used."""
    expected = scipy_stats.t.ppf(share, freedom)

    assert statistics.t_quantile(share, freedom) == pytest.approx(expected, rel=0.002 if freedom >= 8 else 0.03)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("count", [400, 999, 3000])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_ranks_of_a_quantile(share, count, confidence):
    """The ranks are the innermost that leave at most half the rest on each side, by scipy's binomial."""
    tail = (1 - confidence) / 2
    if count < statistics.samples_needed(share, confidence):
        return
    low, high = statistics._bounding_ranks(count, share, tail)
    below = scipy_stats.binom(count, share).cdf

    assert below(low - 1) <= tail < below(low)
    assert below(high - 1) >= 1 - tail > below(high - 2)


@pytest.mark.parametrize(
    ("share", "confidence", "needed"),
    [(0.95, 0.95, 72), (0.95, 0.99, 104), (0.99, 0.95, 368), (0.99, 0.99, 528), (0.999, 0.95, 3688)],
)
def test_samples_needed(share, confidence, needed):
    """One sample fewer, and no sample lies above the quantile with that confidence."""
    assert statistics.samples_needed(share, confidence) == needed
    assert statistics.quantile_interval(list(range(needed - 1)), share, confidence) is None
    assert statistics.quantile_interval(list(range(needed)), share, confidence) is not None


def test_large_samples_use_the_normal():
    """Beyond what is computed exactly the ranks differ by a few places at most."""
    count = statistics.EXACT_UP_TO + 1
    interval = statistics.quantile_interval(list(range(count)), 0.99, 0.95)
    low, high = statistics._bounding_ranks(count, 0.99, 0.025)

    assert abs(interval.low - (low - 1)) <= 3
    assert abs(interval.high - (high - 1)) <= 3


def test_prediction_bound_is_the_textbooks_without_a_prior():
    """Without imagined values it is t times the spread times sqrt(1 + 1/n)."""
    values = [0.1, 0.15, 0.05, 0.12, 0.11, 0.09, 0.1, 0.13, 0.07, 0.1]
    spread = scipy_stats.tstd(values)
    expected = scipy_stats.t.ppf(0.99, 9) * spread * math.sqrt(1.1)

    found = statistics.prediction_bound(values, 0.99, prior_deviation=0.0, prior_weight=0)
    assert found == pytest.approx(expected, rel=0.002)


def test_prediction_bound_covers():
    """Of 4,000 next sessions, at most 1.6 % lie above the 99 % bound: 1 % expected, four deviations are 0.63 %."""
    random = Random(7)
    above = 0
    for _ in range(4000):
        values = [random.gauss(0, 0.03) for _ in range(5)]
        bound = statistics.prediction_bound(values, 0.99, prior_deviation=0.03, prior_weight=4)
        above += random.gauss(0, 0.03) - sum(values) / 5 > bound
    assert above <= 64


def test_quantile_is_the_usual_one():
    """Straight lines between order statistics, as the standard library's inclusive method."""
    import statistics as standard

    values = sorted(Random(3).random() for _ in range(37))
    assert statistics.quantile(values, 0.25) == pytest.approx(standard.quantiles(values, n=4, method="inclusive")[0])
    assert statistics.quantile(values, 0) == values[0]
    assert statistics.quantile(values, 1) == values[-1]


def test_windows_are_resampled_whole():
    """Where stalls fill single windows, the interval is wider than if each call were drawn by itself."""
    random = Random(5)
    windows = [[1.0 + random.random() / 100 for _ in range(100)] for _ in range(20)]
    windows[3] = [10.0] * 100
    whole = statistics.bootstrap_interval(
        windows, lambda ordered: statistics.quantile(ordered, 0.97), 0.95, random=Random(1)
    )
    single = statistics.bootstrap_interval(
        [[each] for window in windows for each in window],
        lambda ordered: statistics.quantile(ordered, 0.97),
        0.95,
        random=Random(1),
        resamples=100,
    )
    assert whole.low < 2 < whole.high
    assert single.low == single.high == 10.0
