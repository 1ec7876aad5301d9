"""The statistics that judging needs, on plain lists of numbers.

Distribution-free where it matters: rounds on a shared machine are skewed, and neighbours come in bursts.

Sources: Hollander, Wolfe, Chicken, "Nonparametric Statistical Methods", 3rd ed., 3.1-3.3 (signed ranks, Walsh
averages); David, Nagaraja, "Order Statistics", 3rd ed., 7.1 (intervals of quantiles); Efron, Tibshirani, "An
Introduction to the Bootstrap", 8.6 (blocks); Hill, "Algorithm 396: Student's t-quantiles", CACM 13 (1970).

Pure: all chance comes from the ``Random`` that is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import accumulate
from random import Random
from statistics import NormalDist, fmean, median

from pytest_concur.model.measurement import Interval

EXACT_UP_TO = 20_000
"""Samples up to which the ranks of a quantile's interval come from the binomial itself; beyond, from the normal."""


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the quantile of ordered values, between two of them by straight line; ``share`` in [0, 1]."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def signed_rank_interval(differences: Sequence[float], confidence: float) -> Interval:
    """Return the Hodges-Lehmann estimate of the middle of symmetric differences, with its exact signed-rank interval.

    Both are infinitely wide if there are too few differences for the confidence asked for.
    """
    walsh = sorted((a + b) / 2 for i, a in enumerate(differences) for b in differences[i:])
    tail = (1 - confidence) / 2
    place = sum(chance <= tail for chance in accumulate(_signed_rank_distribution(len(differences))))
    if place == 0:
        return Interval(median(walsh), -math.inf, math.inf)
    return Interval(median(walsh), walsh[place - 1], walsh[-place])


@cache
def _signed_rank_distribution(count: int) -> tuple[float, ...]:
    """Return the chance of each sum of the positive ranks, from 0 on, if each sign is a coin."""
    ways = [1.0]
    for rank in range(1, count + 1):
        without = ways + [0.0] * rank
        ways = [(a + b) / 2 for a, b in zip(without, [0.0] * rank + ways, strict=True)]
    return tuple(ways)


def t_quantile(share: float, freedom: float) -> float:
    """Return the quantile of Student's distribution; right to 1 % from 3 degrees of freedom and up to 99.9 % on.

    The normal quantile, corrected by the first four terms of its expansion in 1 / ``freedom`` (Fisher and Cornish).
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def prediction_bound(values: Sequence[float], confidence: float, *, prior_deviation: float, prior_weight: int) -> float:
    """Return how far above the middle of ``values`` the next one may lie by chance.

    The spread is theirs, mixed with that of ``prior_weight`` imagined values: few sessions say little about it.
    """
    freedom = prior_weight + len(values) - 1
    middle = fmean(values)
    squares = prior_weight * prior_deviation**2 + sum((value - middle) ** 2 for value in values)
    return t_quantile(confidence, freedom) * math.sqrt(squares / freedom * (1 + 1 / len(values)))


def quantile_interval(ordered: Sequence[float], share: float, confidence: float) -> Interval | None:
    """Return a quantile with the interval that two of the samples bound; ``None`` if no sample bounds it."""
    count = len(ordered)
    if count < samples_needed(share, confidence):
        return None
    tail = (1 - confidence) / 2
    if count > EXACT_UP_TO:
        reach = NormalDist().inv_cdf(1 - tail) * math.sqrt(count * share * (1 - share))
        low, high = math.floor(count * share - reach), math.ceil(count * share + reach)
    else:
        low, high = _bounding_ranks(count, share, tail)
    return Interval(quantile(ordered, share), ordered[max(low - 1, 0)], ordered[min(high - 1, count - 1)])


@cache
def _bounding_ranks(count: int, share: float, tail: float) -> tuple[int, int]:
    """Return the 1-based ranks: at most ``tail`` each that the quantile lies below the first or above the second."""
    log_ratio = math.log(share) - math.log1p(-share)
    chance = count * math.log1p(-share)
    below, low, high = math.exp(chance), 0, count
    for rank in range(1, count + 1):  # ``below``: the chance that fewer than ``rank`` samples lie below the quantile
        if below <= tail:
            low = rank
        if below >= 1 - tail:
            high = rank
            break
        chance += math.log(count - rank + 1) - math.log(rank) + log_ratio
        below += math.exp(chance)
    return low, high


def samples_needed(share: float, confidence: float) -> int:
    """Return the least number of samples of which one lies above, and one below, the quantile with confidence."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(share, 1 - share)))


def bootstrap_interval(
    windows: Sequence[Sequence[float]],
    statistic: Callable[[list[float]], float],
    confidence: float,
    *,
    random: Random,
    resamples: int = 500,
) -> Interval:
    """Return a statistic of all samples with an interval from resampling whole windows: stalls come in bursts."""
    values = sorted(
        statistic(sorted(value for window in random.choices(windows, k=len(windows)) for value in window))
        for _ in range(resamples)
    )
    estimate = statistic(sorted(value for window in windows for value in window))
    tail = (1 - confidence) / 2
    return Interval(estimate, quantile(values, tail), quantile(values, 1 - tail))
