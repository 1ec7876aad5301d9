"""Noise for threads that run freely: at some scheduling points they give way, or sleep for a moment.

A free-running race needs a switch inside a window of nanoseconds; without noise it may take millions of rounds.

Source: Edelstein et al., "Multithreaded Java Program Test Generation", IBM Systems Journal 41 (2002).
"""

from __future__ import annotations

import time
from random import Random

from pytest_concur.instrument.countdown import CAPACITY, Countdown

MEAN_GAPS = (3, 30, 300)
"""Points between two disturbances, in the middle; each round has one of these."""

LONGEST_S = 2e-4
GIVES_WAY = 0.5
"""Part of the disturbances that only give way."""


class Noise:
    """Disturbs whoever calls it, and says after how many points the next one will."""

    def __init__(self, seed: int, countdown: Countdown) -> None:
        self._random = Random(seed)
        self._countdown = countdown
        self._widest = 2 * self._random.choice(MEAN_GAPS)

    def start(self) -> None:
        self._countdown.arm(self._random.randrange(self._widest))

    def stop(self) -> None:
        self._countdown.arm(CAPACITY)

    def __call__(self) -> None:
        """A thread, any, stands at a point."""
        self.start()
        is_short = self._random.random() < GIVES_WAY
        time.sleep(0 if is_short else LONGEST_S * self._random.random())
