"""Random walk: at every scheduling point choose uniformly among the tasks that can run.

The uniform walk lets all tasks advance in step, so it seldom leaves one task standing while another runs far. Every
other schedule is therefore *sticky*: the running task is kept with a probability drawn for that schedule (as in
``ProbRandom``, Thomson, Donaldson, Betts, "Concurrency Testing Using Controlled Schedulers", TOPC 2016).

Instead of tossing a coin at each point, the length of the run to the next switch is drawn once (a geometric law), so
that nothing happens at the points between.

Pure: no threads, no clock. All chance comes from the generator it is given.
"""

from __future__ import annotations

import math
from random import Random

from pytest_concur.model.turn import UNLIMITED, Moment
from pytest_concur.strategies.early_timeout import fires_early

MOST_STICKY = 6
"""A sticky schedule switches at a point with a probability of 1/4 to 1/2**6."""


class RandomWalk:
    """Schedules one run by a random walk."""

    def __init__(self, rng: Random, *, sticky: bool) -> None:
        self._rng = rng
        self._keep = 1 - 0.5 ** rng.randint(2, MOST_STICKY) if sticky else 0.0
        self._expires: float = math.inf  # nothing is decided before the first question

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        enabled = moment.enabled
        if moment.timed and (task := fires_early(self._rng, moment.timed)) is not None:
            return self._run(task, len(enabled) + 1, moment)
        if len(enabled) == 1:
            return enabled[0], UNLIMITED
        candidates = enabled
        if moment.current is not None and (moment.yielded or moment.contested >= self._expires):
            candidates = [task for task in enabled if task != moment.current]  # staying was already decided against
        return self._run(candidates[int(self._rng.random() * len(candidates))], len(enabled), moment)

    def choose(self, count: int) -> int:
        return self._rng.randrange(count)

    def _run(self, task: int, count: int, moment: Moment) -> tuple[int, int]:
        """Return the turn of ``task``: each point to come is a switch with the same probability."""
        stay = self._keep or 1 / count
        points = int(math.log(1 - self._rng.random()) / math.log(stay))
        self._expires = moment.contested + points
        return task, points
