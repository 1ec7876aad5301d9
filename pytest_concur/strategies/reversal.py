"""Race reversal: what a run did in one order is done in the other, with as few switches as possible.

A run lets the running task go on as long as it can. Each of its reversible races (see :mod:`.trace`) is a reason for
one more schedule: it switches to the second task before the first operation is done. Those schedules have races of
their own, for two switches, and so on. It is preemption bounding that switches only where that can matter: a bug that
needs one switch at the right one of a thousand places is found after as many schedules as there are kinds of races, not
places.

Source: Coons, Musuvathi, McKinley, "Bounded Partial-Order Reduction", OOPSLA 2013; Sen, "Race Directed Random Testing
of Concurrent Programs", PLDI 2008.
Departures: few switches come first, and new kinds of races (these tasks, doing this to that) before known ones: each
doubling of a kind counts half a switch. Only what several tasks touched, and one wrote, is looked at. ``concur.choose``
gets its first answer. Nothing is ever claimed to be complete.

Pure: no threads, no clock, no chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from itertools import count

from pytest_concur.model.operation import UNKNOWN, Operation
from pytest_concur.model.turn import Moment
from pytest_concur.strategies.trace import Clock, Event, Trace

MOST_COMPARISONS = 20_000
"""Pairs of operations compared in a run; the rest of it is not looked at."""

MOST_WAITING = 10_000
"""Schedules kept for later; more are dropped."""

Switches = tuple[tuple[int, int], ...]
"""Pairs of a decision's number and the task that is switched to there, in order."""

Kind = tuple[Hashable, ...]
"""What two racing operations are, for races to be told apart."""


class Reversal:
    """Schedules one run along given switches."""

    def __init__(self, switches: Switches, *, is_downward: bool) -> None:
        """
        Args:
            switches: Where another task goes on than would.
            is_downward: Where a task ends or blocks, the one created last goes on, else the one that follows it.
        """
        self._switches = dict(switches)
        self._is_downward = is_downward
        self._options: list[tuple[int, ...]] = []  # of each decision
        self._steps: list[tuple[int, Operation, int]] = []  # task, operation, decision before it
        self._beginnings: dict[int, tuple[int, int]] = {}  # task: number of steps before it was there, who did the last
        self._last = -1

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        enabled, place = moment.enabled, len(self._options)
        for task in enabled:
            if task not in self._beginnings:
                self._beginnings[task] = len(self._steps), self._last
        task = self._switches.get(place, -1)
        if task not in enabled:
            task = self._go_on(moment)
        self._options.append(tuple(enabled))
        self._steps.append((task, moment.pending.get(task, UNKNOWN), place))
        self._last = task
        return task, 0

    def choose(self, count: int) -> int:
        self._options.append(())
        return 0

    def races(self) -> Iterator[tuple[int, int, Kind]]:
        """Yield for each race a decision, the task to switch to there, and the kind of race that this reverses."""
        shared, trace = self._shared(), Trace()
        beginnings = sorted((number, task, starter) for task, (number, starter) in self._beginnings.items())
        for number, (task, operation, place) in enumerate(self._steps):
            while beginnings and beginnings[0][0] <= number:
                _, begins, starter = beginnings.pop(0)
                trace.begin(begins, starter)
            if operation.kind != "join" and operation.family not in shared:
                continue
            for event, clock in trace.races(task, operation):
                turn = self._turn(trace, event, task, clock)
                if turn is not None:
                    yield event.node, turn, (event.task, *_nature(event.operation), task, *_nature(operation))
            if trace.comparisons > MOST_COMPARISONS:
                return
            trace.add(task, operation, place)

    def _go_on(self, moment: Moment) -> int:
        options = moment.enabled
        if moment.current is not None and not moment.yielded:
            return moment.current
        if self._is_downward and not moment.yielded:
            return options[-1]
        return next((task for task in options if task > self._last), options[0])

    def _shared(self) -> set[Hashable]:
        """Return what several tasks touched and one wrote."""
        users: dict[Hashable, set[int]] = {}
        written: set[Hashable] = set()
        for task, operation, _ in self._steps:
            users.setdefault(operation.family, set()).add(task)
            if operation.writes:
                written.add(operation.family)
        return {family for family in written if family is not None and len(users[family]) > 1}

    def _turn(self, trace: Trace, event: Event, task: int, clock: Clock) -> int | None:
        """Return who must go on before ``event`` so that ``task`` comes first; ``None`` if nobody else can."""
        options = self._options[event.node]
        if task in options:
            return task
        able = [first for first in trace.initials(event, task, clock) if first in options]
        return min(able or [each for each in options if each != event.task], default=None)


class ReversalStrategy:
    """Hands out switches, the simplest first."""

    trouble: str | None = "only what the races seen suggest was tried"

    def __init__(self) -> None:
        self._order = count()
        self._waiting: list[tuple[int, int, Switches, bool]] = []
        self._latest: tuple[Reversal, bool] | None = None
        self._known: set[tuple[Switches, bool]] = set()
        self._times: Counter[tuple[int, Kind]] = Counter()
        for is_downward in (False, True):
            heappush(self._waiting, (0, next(self._order), (), is_downward))

    def scheduler(self, index: int) -> Reversal:
        _, _, switches, is_downward = self._waiting[0]
        self._latest = Reversal(switches, is_downward=is_downward), is_downward
        return self._latest[0]

    def sees_operations(self, index: int) -> bool:
        return True

    @property
    def is_exhausted(self) -> bool:
        return not self._waiting

    def learn(self, seen: object) -> None:
        if self._latest is None:
            return
        (run, is_downward), self._latest = self._latest, None
        _, _, switches, _ = heappop(self._waiting)
        for place, task, kind in run.races():
            new = (*(each for each in switches if each[0] < place), (place, task))
            if (new, is_downward) in self._known or len(self._waiting) >= MOST_WAITING:
                continue
            self._known.add((new, is_downward))
            times = self._times[len(new), kind]
            self._times[len(new), kind] += 1
            heappush(self._waiting, (2 * len(new) + times.bit_length(), next(self._order), new, is_downward))


def _nature(operation: Operation) -> tuple[Hashable, ...]:
    return operation.kind, operation.family, operation.writes
