"""No preemption: a task runs until it blocks or ends, then the next one in a given order runs.

``Sequential`` follows one order of the tasks; ``ReplayDecisions`` answers each question where a task had to be chosen,
and each ``concur.choose``, from a list, so that all such runs can be enumerated.

Pure: no threads, no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_concur.model.turn import UNLIMITED, Moment


class Sequential:
    """Runs the tasks in one order; a task that gives way (``sleep(0)``, a spin) goes behind the others."""

    def __init__(self, rank: Callable[[int], int] | None = None, choices: Sequence[int] = ()) -> None:
        """
        Args:
            rank: Place of a task in the order; the lowest runs first. In order of creation if not given.
            choices: Answers to ``concur.choose``, in order; 0 when they run out.
        """
        self._rank = rank
        self._late: list[int] = []  # tasks that gave way, longest ago first
        self._choices = iter(choices)

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        current = moment.current
        if current is not None and not moment.yielded:
            return current, UNLIMITED
        if current is not None:
            if current in self._late:
                self._late.remove(current)
            self._late.append(current)
        if not self._late:
            return moment.enabled[0] if self._rank is None else min(moment.enabled, key=self._rank), UNLIMITED
        return min(moment.enabled, key=self._place), UNLIMITED

    def choose(self, count: int) -> int:
        return min(next(self._choices, 0), count - 1)

    def _place(self, task: int) -> tuple[int, int]:
        rank = task if self._rank is None else self._rank(task)
        return (self._late.index(task) + 1 if task in self._late else 0), rank


class ReplayDecisions:
    """Follows a list of answers where there is a choice, the first option where the list ends.

    ``widths`` then holds, for each question asked, how many answers there were.
    """

    def __init__(self, answers: Sequence[int]) -> None:
        self._answers = answers
        self.widths: list[int] = []

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        enabled = moment.enabled
        if moment.current is not None:
            if not moment.yielded:
                return moment.current, UNLIMITED
            enabled = [task for task in enabled if task != moment.current] or enabled
        return enabled[self.choose(len(enabled)) if len(enabled) > 1 else 0], UNLIMITED

    def choose(self, count: int) -> int:
        place = len(self.widths)
        self.widths.append(count)
        return self._answers[place] if place < len(self._answers) else 0
