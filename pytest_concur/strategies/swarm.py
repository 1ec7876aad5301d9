"""Swarm: a random walk in which every task has a weight of its own, drawn anew for each schedule.

A light task is left standing for long while heavy ones run far, which a uniform walk hardly ever does; there is nothing
to set and nothing to learn.

Source: Walker, "Revealing Behaviours of Concurrent Functional Programs by Systematic Testing", PhD thesis, University
of York, 2018 (weights from 1 to 50).

Pure: no threads, no clock. All chance comes from the generator it is given.
"""

from __future__ import annotations

import math
from random import Random

from pytest_concur.model.turn import UNLIMITED, Moment
from pytest_concur.strategies.early_timeout import fires_early

HEAVIEST = 50


class Swarm:
    """Schedules one run by weights of tasks."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._weights: list[int] = []  # by task
        self._expires = 0

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        enabled, weights = moment.enabled, self._weights
        while len(weights) <= enabled[-1]:
            weights.append(1 + int(self._rng.random() * HEAVIEST))
        if moment.timed and (early := fires_early(self._rng, moment.timed)) is not None:
            return self._run(early, moment)
        if len(enabled) == 1:
            return enabled[0], UNLIMITED
        candidates = enabled
        if moment.current is not None and (moment.yielded or moment.contested >= self._expires):
            candidates = [task for task in enabled if task != moment.current]  # staying was already decided against
        return self._run(self._rng.choices(candidates, [weights[task] for task in candidates])[0], moment)

    def choose(self, count: int) -> int:
        return self._rng.randrange(count)

    def _run(self, task: int, moment: Moment) -> tuple[int, int]:
        """Return the turn of ``task``: each point to come is a switch with the probability that another is drawn."""
        others = sum(self._weights[other] for other in moment.enabled if other != task)
        stay = self._weights[task] / (self._weights[task] + others)
        points = int(math.log(1 - self._rng.random()) / math.log(stay)) if others else UNLIMITED
        self._expires = moment.contested + points
        return task, points
