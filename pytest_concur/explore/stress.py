"""Stress: the body runs freely, in real threads and real time, for what control does not reach.

Tasks of ``concur.run`` start at a gate, all at once; the interpreter's switch interval differs from round to round,
from a microsecond to the default; and there is noise at scheduling points (see :mod:`pytest_concur.engine.noise`). All
that is drawn from the seed. The operating system decides the rest: what fails is real, but no schedule replays it.

Outcomes are not compared: clocks and sources of chance are real here, and those of the sequential runs were not.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from pytest_concur.engine.noise import Noise
from pytest_concur.explore.failure import Failure
from pytest_concur.explore.trial import Laboratory

SWITCH_INTERVALS_S = (1e-6, 1e-5, 1e-4, 5e-3)


@dataclass(frozen=True, slots=True)
class Stressed:
    """What stress rounds gave."""

    rounds: int
    """That came to their end, the failing one included."""

    failure: Failure | None = None
    interval_s: float = 0.0
    """The switch interval of the failing round."""

    passing: BaseException | None = None
    """What ends the test as it is."""


def stress(lab: Laboratory, *, rounds: int, seconds: float, seed: int, beat: Callable[[], None]) -> Stressed:
    """Run the body freely until it fails.

    Args:
        lab: Runs it.
        rounds: Most rounds.
        seconds: No round begins later.
        seed: Of intervals and noise.
        beat: Called as each round begins.
    """
    rng, end = Random(seed), time.perf_counter() + seconds
    number = 0
    for number in range(1, rounds + 1):
        beat()
        with switch_interval(rng.choice(SWITCH_INTERVALS_S)) as interval_s:
            trial = lab.run_freely(Noise(rng.getrandbits(32), lab.countdown))
        if trial.passing is not None:
            return Stressed(number, passing=trial.passing)
        if trial.failure is not None:
            return Stressed(number, trial.failure, interval_s)
        if time.perf_counter() > end:
            break
    return Stressed(number)


@contextmanager
def switch_interval(seconds: float) -> Iterator[float]:
    """Set the interpreter's switch interval for a while."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield seconds
    finally:
        sys.setswitchinterval(before)
