"""Partial order sampling (POS): every pending operation has a random priority, the highest runs.

After it has run, operations that conflict with it draw a new priority, so that racing orders are sampled evenly
whatever the number of tasks.

Source: Yuan, Yang, Gu, "Partial Order Aware Concurrency Sampling", CAV 2018.
Departure: a task that gives way or spins falls behind all others, since it may wait for one of them.

Pure: no threads, no clock. All chance comes from the generator it is given.
"""

from __future__ import annotations

from random import Random

from pytest_concur.model.operation import UNKNOWN
from pytest_concur.model.turn import Moment
from pytest_concur.strategies.early_timeout import fires_early


class POS:
    """Schedules one run by priorities of operations."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._priority: dict[int, float] = {}  # of what a task is about to do; missing: not drawn yet

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        if moment.timed and (early := fires_early(self._rng, moment.timed)) is not None:
            return early, 0
        priority, pending, enabled, draw = self._priority, moment.pending, moment.enabled, self._rng.random
        if len(enabled) == 1:
            priority.pop(enabled[0], None)
            return enabled[0], 0
        if moment.yielded and moment.current is not None:
            priority[moment.current] = -draw()
        for task in enabled:
            if task not in priority:
                priority[task] = draw()
        chosen = max(enabled, key=priority.__getitem__)
        operation = pending.get(chosen, UNKNOWN)
        del priority[chosen]
        resource = operation.resource
        if resource is not None:
            for task in enabled:
                if task != chosen:
                    other = pending.get(task, UNKNOWN)
                    if other.resource == resource and operation.conflicts_with(other):
                        del priority[task]
        return chosen, 0

    def choose(self, count: int) -> int:
        return self._rng.randrange(count)
