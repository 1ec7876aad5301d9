"""Probabilistic concurrency testing (PCT): strict random priorities, lowered at a few random points.

A bug that needs ``d`` ordering constraints is found in one schedule with probability at least ``1 / (n * k**(d-1))``
for ``n`` tasks and ``k`` points.

Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, "A Randomized Scheduler with Probabilistic Guarantees of Finding
Bugs", ASPLOS 2010.
Departures: the depth cycles through 2, 3 and 5 from schedule to schedule, clamped so that at most a third of the points
are change points; ``k`` is the most points seen so far; a task that yields or spins falls to the lowest priority, since
strict priorities would starve the task it waits for.

Pure: no threads, no clock. All chance comes from the generator it is given.
"""

from __future__ import annotations

from random import Random

from pytest_concur.model.turn import UNLIMITED, Moment
from pytest_concur.strategies.early_timeout import fires_early

DEPTHS = (2, 3, 5)


class PCT:
    """Schedules one run by priorities."""

    def __init__(self, rng: Random, *, depth: int, length: int) -> None:
        """
        Args:
            rng: Source of all chance.
            depth: Ordering constraints aimed at, at least 1; ``depth - 1`` change points are drawn.
            length: Contested points expected in the run, at least 0; 0 draws no change points.
        """
        self._rng = rng
        count = min(depth - 1, length // 3) if length >= 3 else min(depth - 1, length)
        changes: set[int] = set()
        while len(changes) < count:
            changes.add(int(rng.random() * length))
        self._changes = sorted(changes, reverse=True)
        self._priority: list[float] = []  # by task; drawn from [0, 1), and below that once lowered
        self._lowest = 0.0

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        enabled, changes, priority = moment.enabled, self._changes, self._priority
        while len(priority) <= enabled[-1]:
            priority.append(self._rng.random())
        if moment.timed and (early := fires_early(self._rng, moment.timed)) is not None:
            return early, self._points_to_change(early, moment)
        if moment.yielded and moment.current is not None:
            self._demote(moment.current)
        while changes and changes[-1] <= moment.contested:
            changes.pop()
            if moment.current is not None and len(enabled) > 1:
                self._demote(moment.current)
        if len(enabled) == 1:
            return enabled[0], UNLIMITED
        task = max(enabled, key=priority.__getitem__)
        return task, self._points_to_change(task, moment) if changes else UNLIMITED

    def choose(self, count: int) -> int:
        return self._rng.randrange(count)

    def _demote(self, task: int) -> None:
        self._lowest -= 1
        self._priority[task] = self._lowest

    def _points_to_change(self, task: int, moment: Moment) -> int:
        if not self._changes:
            return UNLIMITED
        here = 1 if task == moment.current else 0  # a task that goes on also passes the point it stands at
        return max(self._changes[-1] - moment.contested - here, 0)
