"""Uniform random walk over interleavings (URW): a task is drawn in proportion to the points it has left.

Exact counts would make all interleavings of tasks that never block equally likely, where an unweighted walk prefers
those in which the tasks keep step.

Source: Zhao, Wolff, Mathur, Roychoudhury, "Selectively Uniform Concurrency Testing", ASPLOS 2025.
Departure: counts are the largest seen so far, since only points are counted that a task passes while others can run: it
passes none if it runs last, and would run last ever more. Every task weighs one point at least, also if it was not seen
before, passed none, or is longer than it was.

Pure: no threads, no clock. All chance comes from the generator it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from pytest_concur.model.schedule import Executed
from pytest_concur.model.turn import UNLIMITED, Moment
from pytest_concur.strategies.early_timeout import fires_early


def lengths_of(executed: Executed) -> dict[int, int]:
    """Return the points that each task passed while others could run."""
    lengths: dict[int, int] = {}
    for segment, passed in zip(executed.schedule.segments, executed.passed, strict=False):
        stood_at_point = segment.points is not None
        lengths[segment.task] = lengths.get(segment.task, 0) + passed + stood_at_point
    return lengths


class URW:
    """Schedules one run by weights."""

    def __init__(self, rng: Random, lengths: Mapping[int, int]) -> None:
        """``lengths``: points that each task is expected to pass while others can run."""
        self._rng = rng
        self._left = {task: max(length, 1) for task, length in lengths.items()}

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        if moment.timed and (early := fires_early(self._rng, moment.timed)) is not None:
            return early, 0
        enabled = moment.enabled
        if len(enabled) == 1:
            return enabled[0], UNLIMITED
        if moment.yielded and moment.current is not None:
            enabled = [task for task in enabled if task != moment.current]
        left = self._left
        task = self._rng.choices(enabled, [left.get(task, 1) for task in enabled])[0]
        left[task] = max(left.get(task, 1) - 1, 1)
        return task, 0

    def choose(self, count: int) -> int:
        return self._rng.randrange(count)
