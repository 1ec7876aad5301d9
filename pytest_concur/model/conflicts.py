"""What in a trace no order of the tasks, one after the other, can give."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import product

from pytest_concur.model.trace import ScheduleTrace, Step

MOST_STEPS = 200
"""Accesses of a place that are looked at in search of tasks that cross, the latest."""

MOST_PAIRS = 100
"""Pairs of two tasks, in each direction, the latest."""


@dataclass(frozen=True, slots=True)
class Intrusion:
    """An access of one task that came between two of another, to the same place."""

    before: Step
    between: Step
    after: Step

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.before, self.between, self.after


@dataclass(frozen=True, slots=True)
class Crossing:
    """Two tasks, each of which was first at one place: ``first`` and ``second`` are two accesses of a place each."""

    first: tuple[Step, Step]
    second: tuple[Step, Step]
    """The task that was second there was the first here."""

    @property
    def steps(self) -> tuple[Step, ...]:
        return *self.first, *self.second


def explanation(trace: ScheduleTrace) -> Intrusion | Crossing | None:
    """Return what says best why no order of the tasks gives the same; ``None`` if nothing does.

    An access in the middle of another task comes first, then two tasks that cross; those of the body last, and calls of
    which nobody knows what they read and write.
    """
    found = sorted(intrusions(trace), key=lambda each: each.between.is_call)
    among_tasks = [each for each in found if each.before.task and each.between.task]
    if among_tasks:
        return among_tasks[0]
    crossed = crossings(trace)
    crossed_tasks = [each for each in crossed if all(step.task for step in each.steps)]
    best: list[Intrusion | Crossing] = [*crossed_tasks, *found, *crossed]
    return best[0] if best else None


def by_place(steps: Iterable[Step]) -> list[list[Step]]:
    """Return the steps that touch the same place, for each place. What touches all of an object is with each part."""
    of_resource: dict[Hashable, list[Step]] = {}
    for step in steps:
        of_resource.setdefault(step.resource, []).append(step)
    found = []
    for same in of_resource.values():
        parts = dict.fromkeys(step.part for step in same if step.part is not None)
        found += [[step for step in same if step.part in (part, None)] for part in parts or [None]]
    return found


def intrusions(trace: ScheduleTrace) -> list[Intrusion]:
    """Return accesses that came between two of another task, where an order one after the other differs.

    These are the unserializable triples of Lu, Tucek, Qin, Zhou, "AVIO", ASPLOS 2006: of the three accesses, the one in
    between conflicts with both others.
    """
    found = []
    for steps in by_place(trace.steps):
        last: dict[int, int] = {}
        for index, step in enumerate(steps):
            start = last.get(step.task)
            if start is not None:
                before = steps[start]
                for between in reversed(steps[start + 1 : index]):  # what is seen then is what was written last
                    is_another = between.task != step.task and not _must_follow(before, between)
                    if is_another and _is_unserializable(before, between, step):
                        found.append(Intrusion(before, between, step))
                        break
            last[step.task] = index
    order = {id(step): index for index, step in enumerate(trace.steps)}
    return sorted(found, key=lambda each: order[id(each.after)])


def crossings(trace: ScheduleTrace) -> list[Crossing]:
    """Return pairs of tasks each of which came first somewhere, the narrowest of each pair of tasks.

    One after the other, one of them would come first everywhere: a cycle of two in the conflict graph of Eswaran, Gray,
    Lorie, Traiger, "The Notions of Consistency and Predicate Locks in a Database System", CACM 1976.
    """
    order = {id(step): index for index, step in enumerate(trace.steps)}
    pairs: dict[tuple[int, int], list[tuple[Step, Step]]] = {}
    for same in by_place(trace.steps):
        steps = same[-MOST_STEPS:]
        for index, later in enumerate(steps):
            for earlier in steps[:index]:
                conflicts = earlier.task != later.task and (earlier.writes or later.writes)
                if conflicts and not (earlier.is_call or later.is_call) and not _must_follow(earlier, later):
                    pairs.setdefault((earlier.task, later.task), []).append((earlier, later))
    found = []
    for (one, other), theirs in pairs.items():
        if one < other and (other, one) in pairs:
            crossed = [
                Crossing(*sorted(both, key=lambda pair: order[id(pair[0])]))
                for both in product(theirs[-MOST_PAIRS:], pairs[other, one][-MOST_PAIRS:])
            ]
            found.append(min(crossed, key=lambda each: _width([order[id(step)] for step in each.steps])))
    return sorted(found, key=lambda each: order[id(each.second[1])])


def _width(places: list[int]) -> int:
    return max(places) - min(places)


def _must_follow(earlier: Step, later: Step) -> bool:
    """Whether the later one could not have come first: its task was not there yet, or had been waited for."""
    return later.task >= earlier.started or (not later.task and earlier.task in later.ended)


def _is_unserializable(before: Step, between: Step, after: Step) -> bool:
    if between.is_call:
        return True  # for all that is known
    if between.writes:
        return not (before.writes and after.writes)
    return before.writes and after.writes
