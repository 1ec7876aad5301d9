"""Selectively uniform random walk (SURW): uniform over the orders of a few interesting operations.

For each schedule one resource is drawn; the operations on it are *interesting*. Which task takes the next interesting
step is drawn in proportion to how many such steps each task has left, so that all their orders are equally likely; what
lies between is a random walk.

Source: Zhao, Wolff, Mathur, Roychoudhury, "Selectively Uniform Concurrency Testing", ASPLOS 2025.
Departures: the counts come from the schedules before, not from a profiling run of their own; half of the weight of a
resource is the same for all, since the flag that matters may be touched seldom; tasks not seen before weigh one step.
What was touched only with some lock held (its lockset: Savage et al., "Eraser", TOCS 1997) is not drawn: whoever waits
before it keeps the others out, and its order is that of the lock.

Pure: no threads, no clock. All chance comes from the generator it is given.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import accumulate
from random import Random

from pytest_concur.model.operation import UNKNOWN, Operation
from pytest_concur.model.turn import Moment
from pytest_concur.strategies.early_timeout import fires_early


class Profile:
    """How often each task touches each resource, as seen in the latest schedule in which it did.

    A task that ended early, and did not come so far, leaves what was known of it: orders that it missed are to come.
    """

    def __init__(self) -> None:
        self._counts: dict[Hashable, dict[int, int]] = {}
        self._written: set[Hashable] = set()
        self._guards: dict[Hashable, set[Hashable]] = {}  # locks that were held at every touch
        self._drawable: tuple[list[Hashable], list[float]] | None = None  # with weights; kept until something changes

    def learn(
        self,
        counts: Mapping[Hashable, dict[int, int]],
        written: set[Hashable],
        guards: Mapping[Hashable, set[Hashable]],
    ) -> None:
        for family, tasks in counts.items():
            known = self._counts.setdefault(family, {})
            if not tasks.items() <= known.items():
                known.update(tasks)
                self._drawable = None
        if not written <= self._written:
            self._written |= written
            self._drawable = None
        for family, locks in guards.items():
            before = self._guards.get(family)
            if before is None or not before <= locks:
                self._guards[family] = locks if before is None else before & locks
                self._drawable = None

    def draw(self, rng: Random) -> tuple[Hashable, dict[int, int]]:
        """Return a resource that several tasks touch and one writes, with its counts; ``None`` if there is none."""
        if self._drawable is None:
            self._drawable = self._weigh()
        families, weights = self._drawable
        if not families:
            return None, {}
        chosen = rng.choices(families, cum_weights=weights)[0]
        return chosen, dict(self._counts[chosen])

    def _weigh(self) -> tuple[list[Hashable], list[float]]:
        """Return what can be drawn, and the weights, each added to those before it."""
        guards, written = self._guards, self._written
        families = [f for f, tasks in self._counts.items() if len(tasks) > 1 and f in written and not guards.get(f)]
        sums = [sum(self._counts[family].values()) for family in families]
        total, same = sum(sums), 1 / max(len(families), 1)
        return families, list(accumulate(same + each / total for each in sums))


class SURW:
    """Schedules one run; uniform with respect to one resource."""

    def __init__(self, rng: Random, profile: Profile) -> None:
        self._rng = rng
        self._profile = profile
        self._interesting, self._left = profile.draw(rng)
        self._intent: int | None = None  # the task that takes the next interesting step
        self._held: set[int] = set()  # tasks that stand before one while it is another's turn
        self._counts: dict[Hashable, dict[int, int]] = {}
        self._written: set[Hashable] = set()
        self._guards: dict[Hashable, set[Hashable]] = {}
        self._holds: dict[int, list[Hashable]] = {}  # locks, reentrant ones as often as they were taken

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        if moment.timed and (early := fires_early(self._rng, moment.timed)) is not None:
            return early, 0
        enabled = moment.enabled
        task = enabled[0] if len(enabled) == 1 else self._choose_task(moment)
        operation = moment.pending.get(task, UNKNOWN)
        family = operation.family
        if family is not None:
            self._count(task, operation)
            if len(moment.pending) > 1 or len(enabled) > 1:  # who is alone needs no lock
                self._note_guards(task, family)
            if family == self._interesting:  # also where nobody else could have taken a step
                self._left[task] = max(self._left.get(task, 1) - 1, 0)
        return task, 0

    def choose(self, count: int) -> int:
        return self._rng.randrange(count)

    def finish(self) -> None:
        """The run is over: hand on what was counted."""
        self._profile.learn(self._counts, self._written, self._guards)

    def _choose_task(self, moment: Moment) -> int:
        enabled, rng = moment.enabled, self._rng
        candidates = [task for task in enabled if task not in self._held]
        if moment.yielded and moment.current in candidates and len(candidates) > 1:
            candidates.remove(moment.current)
        while True:
            if not candidates:  # those that could take the step are blocked: start over
                self._held.clear()
                self._intent = None
                candidates = list(enabled)
            task = candidates[int(rng.random() * len(candidates))]
            if self._interesting is None or moment.pending.get(task, UNKNOWN).family != self._interesting:
                return task
            if self._intent is None:
                self._intent = self._draw_intent(candidates)
            if self._intent == task:
                self._held.clear()
                self._intent = None
                return task
            self._held.add(task)
            candidates.remove(task)

    def _draw_intent(self, candidates: list[int]) -> int:
        weights = [self._left.get(task, 1) for task in candidates]
        if not any(weights):
            return candidates[int(self._rng.random() * len(candidates))]
        return self._rng.choices(candidates, weights)[0]

    def _count(self, task: int, operation: Operation) -> None:
        family = operation.family
        tasks = self._counts.get(family)
        if tasks is None:
            tasks = self._counts[family] = {}
        tasks[task] = tasks.get(task, 0) + 1
        if operation.writes:
            self._written.add(family)
        if operation.kind == "acquire":
            self._holds.setdefault(task, []).append(family)
        elif operation.kind == "release" and family in self._holds.get(task, ()):
            self._holds[task].remove(family)

    def _note_guards(self, task: int, family: Hashable) -> None:
        guards = self._guards.get(family)
        if guards is None or guards:
            held = {lock for lock in self._holds.get(task, ()) if lock != family}  # none guards itself
            self._guards[family] = held if guards is None else guards & held
