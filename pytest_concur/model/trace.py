"""A trace: what a run did, step by step, for people. It explains; it does not replay (that is a ``Schedule``)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from pytest_concur.model.waiting import Place


@dataclass(frozen=True, slots=True)
class Step:
    """One shared access."""

    task: int
    file: str
    line: int
    function: str
    resource: Hashable
    """What it touches: equal for two accesses of the same object or variable, within one trace."""

    part: Hashable
    """Which attribute or item of it; ``None``: all of it, or nobody knows which."""

    shown: str
    """The place in words: ``Account.balance``."""

    writes: bool
    value: str | None
    """The value written or read, where that is cheap to tell."""

    is_call: bool = False
    """A call of the system: what it reads and writes is not known."""

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.function)


@dataclass(frozen=True, slots=True)
class Taking:
    """A lock was taken."""

    task: int
    lock: Hashable
    """Which one, as :class:`Waiting` names it."""

    place: Place
    steps: int
    """How many shared accesses of the run came before."""


@dataclass(frozen=True, slots=True)
class ScheduleTrace:
    """The steps of one run, in order."""

    names: tuple[str, ...]
    """Names of the tasks by number."""

    steps: tuple[Step, ...]
    takings: tuple[Taking, ...] = ()
    """The locks that were taken, in order."""


@dataclass(frozen=True, slots=True)
class Intrusion:
    """An access of one task that came between two of another, to the same place."""

    before: Step
    between: Step
    after: Step


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
                    if between.task != step.task and _is_unserializable(before, between, step):
                        found.append(Intrusion(before, between, step))
                        break
            last[step.task] = index
    order = {id(step): index for index, step in enumerate(trace.steps)}
    return sorted(found, key=lambda each: order[id(each.after)])


def _is_unserializable(before: Step, between: Step, after: Step) -> bool:
    if between.is_call:
        return True  # for all that is known
    if between.writes:
        return not (before.writes and after.writes)
    return before.writes and after.writes
