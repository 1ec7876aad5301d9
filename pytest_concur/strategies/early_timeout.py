"""Let a time-out fire although others could still run: a slow machine does that, seldom."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

EARLY = 1 / 8
"""Probability, at a decision, that one of the waiting time-outs fires early."""


def fires_early(rng: Random, timed: Sequence[int]) -> int | None:
    """Return the task whose time-out fires now, mostly ``None``."""
    if rng.random() >= EARLY:
        return None
    return timed[int(rng.random() * len(timed))]
