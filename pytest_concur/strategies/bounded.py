"""Iterative bounding: all schedules without a deviation from a fixed order, then all with one, with two, and so on.

The fixed order goes on with the running task, else with the next one round the ring. *Delay bounding* pays one for each
task that is passed over; *preemption bounding* pays one for leaving a task that could have gone on, and nothing where
it has blocked or ended. Most bugs need little; what is found is as simple as it can be; and when nothing is left, every
interleaving was run.

Source: Musuvathi, Qadeer, "Iterative Context Bounding for Systematic Testing of Multithreaded Programs", PLDI 2007;
Emmi, Qadeer, Rakamarić, "Delay-Bounded Scheduling", POPL 2011.
Departure: schedules are not found by repeated depth-first searches, but each once, cheapest first: a schedule that was
run is continued by one more deviation behind its last one.

Pure: no threads, no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from pytest_concur.model.turn import Moment

MOST_WAITING = 200_000
"""Deviations kept for later; more are dropped, and nothing is claimed to be complete."""

Deviations = tuple[tuple[int, int], ...]
"""Pairs of a decision's number and the option taken there, in order; elsewhere option 0 is taken."""

Cost = Callable[[int, bool], int]
"""What it costs to take option ``i`` where the running task could have gone on, or could not."""


def delays(option: int, could_go_on: bool) -> int:
    return option


def preemptions(option: int, could_go_on: bool) -> int:
    return int(could_go_on and option > 0)


class Bounded:
    """Schedules one run along given deviations."""

    def __init__(self, deviations: Deviations) -> None:
        self._deviations = dict(deviations)
        self.widths: list[tuple[int, bool]] = []
        """For each decision how many options there were, and whether the running task could have gone on."""

        self.trouble: str | None = None
        self._last = -1

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        enabled = moment.enabled
        if len(enabled) == 1:
            self._last = enabled[0]
            return self._last, 0
        could_go_on = moment.current is not None
        if moment.yielded and could_go_on:
            could_go_on = False
            self.trouble = "a task gives way, or waits for another one in a loop"
        first = self._last if could_go_on else self._last + 1
        ring = [task for task in enabled if task >= first] + [task for task in enabled if task < first]
        self._last = ring[self._take(len(ring), could_go_on)]
        return self._last, 0

    def choose(self, count: int) -> int:
        return self._take(count, False)

    def _take(self, width: int, could_go_on: bool) -> int:
        option = self._deviations.get(len(self.widths), 0)
        self.widths.append((width, could_go_on))
        if option >= width:
            self.trouble = "a schedule did not repeat: something else than the schedule decides"
            return 0
        return option


class BoundedStrategy:
    """Hands out deviations, cheapest first."""

    def __init__(self, cost: Cost) -> None:
        self._cost = cost
        self._order = count()
        self._waiting: list[tuple[int, int, Deviations]] = [(0, next(self._order), ())]
        self._latest: Bounded | None = None
        self.is_exhausted = False
        self.trouble: str | None = None
        """Why nothing can be claimed to be complete, if so."""

    def scheduler(self, index: int) -> Bounded:
        self._latest = Bounded(self._waiting[0][2])
        return self._latest

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: object) -> None:
        run, self._latest = self._latest, None
        if run is None:
            return
        paid, _, deviations = heappop(self._waiting)
        self.trouble = self.trouble or run.trouble
        start = deviations[-1][0] + 1 if deviations else 0
        for place in range(start, len(run.widths)):
            width, could_go_on = run.widths[place]
            for option in range(1, width):
                if len(self._waiting) >= MOST_WAITING:
                    self.trouble = "too many schedules are left to remember them all"
                    break
                more = paid + self._cost(option, could_go_on)
                heappush(self._waiting, (more, next(self._order), (*deviations, (place, option))))
        self.is_exhausted = not self._waiting
