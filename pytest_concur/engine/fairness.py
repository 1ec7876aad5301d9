"""The fair end of a long run: everybody gets the same share, and whoever comes back to old states is going in circles.

A livelock is claimed only if, under this schedule, every task that can run has shown nothing new for a while: the same
places with the same values, over and over. A counter that grows is news. Anything else is a step limit, no verdict.

Source of the idea: Musuvathi, Qadeer, "Fair Stateless Model Checking", PLDI 2008.
"""

from __future__ import annotations

from typing import Any

from pytest_concur.model.turn import Moment

SHARE = 7
"""Points of a fair turn; prime, so that turns do not keep step with short loops."""

ROUNDS = 50
"""Turns of each task without anything new before it counts as going in circles."""


class RoundRobin:
    """Schedules by turns and remembers the states seen."""

    def __init__(self) -> None:
        self._last = -1
        self._seen: set[Any] = set()
        self._turns_without_news: dict[int, int] = {}

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        later = [task for task in moment.enabled if task > self._last]
        self._last = later[0] if later else moment.enabled[0]
        return self._last, SHARE

    def choose(self, count: int) -> int:
        return 0

    def note(self, task: int, state: Any) -> None:
        """The task was seen in this state, a hashable value, at the end of a turn."""
        if (task, state) in self._seen:
            self._turns_without_news[task] = self._turns_without_news.get(task, 0) + 1
        else:
            self._seen.add((task, state))
            self._turns_without_news.clear()

    def is_going_in_circles(self, enabled: list[int]) -> bool:
        return all(self._turns_without_news.get(task, 0) >= ROUNDS for task in enabled)
