"""Fit the Universal Scalability Law to throughput at several numbers of workers.

With N workers and X the throughput of one: N X / throughput - 1 = contention (N - 1) + coherency N (N - 1), which is
linear in both. Least squares with neither below zero.

Source: Gunther, "Guerrilla Capacity Planning" (2007), chapters 4 to 6.

Pure: all chance comes from the ``Random`` that is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from statistics import median

from pytest_concur.measure.statistics import quantile
from pytest_concur.model.measurement import Interval, Scalability

LEAST_LEVELS = 6
"""Fewer numbers of workers leave the coefficients all but free."""

CONFIDENCE = 0.95
RESAMPLES = 300


def fit(throughput: Mapping[int, float]) -> tuple[float, float]:
    """Return contention and coherency for throughput by number of workers; one of them is 1."""
    single = throughput[1]
    rows = [(n - 1.0, n * (n - 1.0), n * single / rate - 1.0) for n, rate in throughput.items() if n > 1]
    aa, ab, bb = (sum(x[i] * x[j] for x in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    ay, by = (sum(x[i] * x[2] for x in rows) for i in (0, 1))
    determinant = aa * bb - ab * ab
    if determinant > 1e-9 * aa * bb:
        contention, coherency = (ay * bb - by * ab) / determinant, (by * aa - ay * ab) / determinant
        if contention >= 0 and coherency >= 0:
            return contention, coherency
    # the best on the border: with one of them at zero, whichever leaves less
    only_contention, only_coherency = max(0.0, ay / aa), max(0.0, by / bb)
    left = sum((x[2] - only_contention * x[0]) ** 2 for x in rows)
    right = sum((x[2] - only_coherency * x[1]) ** 2 for x in rows)
    return (only_contention, 0.0) if left <= right else (0.0, only_coherency)


def scalability(rates: Mapping[int, Sequence[float]], random: Random) -> Scalability | None:
    """Fit the law to throughput samples by number of workers; ``None`` if there are too few levels, or not level 1."""
    if len(rates) < LEAST_LEVELS or 1 not in rates:
        return None
    estimate = fit({n: median(samples) for n, samples in rates.items()})
    fits = [
        fit({n: median(random.choices(samples, k=len(samples))) for n, samples in rates.items()})
        for _ in range(RESAMPLES)
    ]
    tail = (1 - CONFIDENCE) / 2
    intervals = []
    for place, value in enumerate(estimate):
        ordered = sorted(each[place] for each in fits)
        intervals.append(Interval(value, quantile(ordered, tail), quantile(ordered, 1 - tail)))
    return Scalability(*intervals)
