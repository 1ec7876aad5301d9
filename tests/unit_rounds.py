"""Rounds made up for tests of verdicts."""

from __future__ import annotations

from random import Random

from pytest_concur.measure.rounds import Rounds


def rounds(
    *,
    sequential=0.010,
    concurrent=0.005,
    calibration=0.001,
    cores=1.9,
    busy=1.9,
    pairs=30,
    seed=0,
    noise=0.02,
    disturbed=0.0,
):
    """Make rounds with one-sided noise; a ``disturbed`` part of the concurrent ones takes half as long again."""
    random = Random(seed)

    def slower():
        return 1 + abs(random.gauss(0, noise))

    return Rounds(
        sequential=[sequential * slower() for _ in range(pairs)],
        concurrent=[concurrent * slower() * (1.5 if random.random() < disturbed else 1) for _ in range(pairs)],
        calibration=[calibration * slower() for _ in range(pairs)],
        cores=[cores] * pairs,
        sequential_processor=sequential,
        concurrent_processor=concurrent * busy,
    )
