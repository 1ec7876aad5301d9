"""What a run did so far, in which order it had to be, and in which it happened to be.

One operation *happens before* another if a chain of dependent operations, steps of one task, starts and joins leads
from one to the other. Two dependent operations of different tasks that no such chain connects but their own dependence
are a *reversible race*: another schedule does them in the other order.

Source: Flanagan, Godefroid, "Dynamic Partial-Order Reduction for Model Checking Software", POPL 2005; clocks: Mattern,
"Virtual Time and Global States of Distributed Systems", 1988.

Pure: no threads, no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from pytest_concur.model.operation import Operation

Clock = list[int]
"""For each task the number of its operations that happened before, itself included."""


@dataclass(slots=True)
class Event:
    """An operation that was executed."""

    task: int
    operation: Operation
    node: int
    """Number of the decision before it."""

    number: int
    """Of the task's operations, from 1."""

    clock: Clock

    def precedes(self, clock: Clock) -> bool:
        return self.task < len(clock) and self.number <= clock[self.task]


@dataclass(slots=True)
class Touch:
    """An access that is no operation: nobody could have a turn just before it."""

    task: int
    writes: bool
    lasts: bool
    """Others may have had a turn in the middle."""

    node: int
    """Number of the decision before it."""

    number: int
    """Of the task's operation before it."""

    clock: Clock

    def precedes(self, clock: Clock) -> bool:
        """Whether it came before what has this clock: so did the whole step, from its decision to the next."""
        return self.number == 0 or (self.task < len(clock) and self.number <= clock[self.task])


class Trace:
    """The operations of one run, in the order in which they were executed."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.comparisons = 0
        """Pairs of operations looked at since the last cut: what the time goes into."""

        self._by_resource: dict[Hashable, list[Event]] = {}
        self._writes: dict[Hashable, list[Event]] = {}  # of those, what a read depends on
        self._touches: dict[Hashable, list[Touch]] = {}
        self._anywhere: list[Event] = []  # operations whose place is not known
        self._clocks: dict[int, Clock] = {}
        self._beginnings: dict[int, tuple[int, Clock]] = {}  # task: events before it was there, its clock then

    def knows(self, task: int) -> bool:
        return task in self._clocks

    def begin(self, task: int, starter: int) -> None:
        """A task is there; who started it did so behind all of its own operations so far."""
        clock = self._clocks.get(starter, [])
        self._clocks[task] = list(clock)
        self._beginnings[task] = len(self.events), list(clock)

    def cut(self, node: int) -> None:
        """Forget what came behind decision number ``node`` and that decision: another run goes on from there."""
        touched = set()
        while self.events and self.events[-1].node >= node:
            event = self.events.pop()
            operation = event.operation
            touched.add(event.task)
            if operation.resource is not None:
                self._by_resource[operation.resource].pop()
                if operation.writes:
                    self._writes[operation.resource].pop()
            elif operation.kind == "builtin":
                self._anywhere.pop()
        for touches in self._touches.values():
            while touches and touches[-1].node >= node:
                touches.pop()
        for task in [task for task, (count, _) in self._beginnings.items() if count > len(self.events)]:
            del self._beginnings[task], self._clocks[task]
        for event in reversed(self.events):
            if not touched:
                break
            if event.task in touched:
                touched.remove(event.task)
                self._clocks[event.task] = list(event.clock)
        for task in touched & self._beginnings.keys():
            self._clocks[task] = list(self._beginnings[task][1])
        self.comparisons = 0

    def races(self, task: int, operation: Operation) -> Iterator[tuple[Event, Clock]]:
        """Yield the earlier operations that this one, which comes next or never came, could be done before.

        Nearest first, each with the clock of what must come before this one, as far as found; it changes later.
        """
        if operation.kind == "join":
            return
        clock = list(self._clocks.get(task, ()))
        for event in self._related(operation):
            self.comparisons += 1
            if event.task != task and not event.precedes(clock) and depend(event.operation, operation):
                if operation.kind == "acquire" and event.operation.kind == "release":
                    continue  # cannot be swapped; the race is with the acquire before that
                yield event, clock
                _join(clock, event.clock)
            if _covers(event.operation, operation):
                break

    def add(self, task: int, operation: Operation, node: int) -> None:
        """Execute an operation, behind decision number ``node``."""
        clock = self._clocks[task]
        if operation.kind == "join":
            for other in operation.part if isinstance(operation.part, tuple) else ():
                _join(clock, self._clocks.get(other, []))
        else:
            for event in self._related(operation):
                if not event.precedes(clock) and depend(event.operation, operation):
                    _join(clock, event.clock)
                if _covers(event.operation, operation):
                    break
        clock.extend([0] * (task + 1 - len(clock)))
        clock[task] += 1
        event = Event(task, operation, node, clock[task], list(clock))
        self.events.append(event)
        if operation.resource is not None:
            self._by_resource.setdefault(operation.resource, []).append(event)
            if operation.writes:
                self._writes.setdefault(operation.resource, []).append(event)
        elif operation.kind == "builtin":
            self._anywhere.append(event)

    def touch(self, task: int, resource: Hashable, writes: bool, lasts: bool, node: int) -> None:
        """Note an access behind decision number ``node`` that is no operation."""
        clock = self._clocks.get(task, [])
        number = clock[task] if task < len(clock) else 0
        touches = self._touches.setdefault(resource, [])
        touch = Touch(task, writes, lasts, node, number, list(clock))
        if not touches or touches[-1] != touch:
            touches.append(touch)

    def has_unordered_touch(self, most: int) -> bool:
        """Whether a touch and an access of another task, of which one writes, could have come in either order.

        Two operations in the order in which they happened to be are explored in the other one, too, and with them what
        comes before or behind them; so these are in order. Where so many comparisons are not enough, it may be.
        """
        for resource, touches in self._touches.items():
            operations = [*self._by_resource.get(resource, ()), *self._anywhere]
            accesses = [(each, each.operation.writes) for each in operations]
            for place, touch in enumerate(touches):
                for other, writes in chain(accesses, ((each, each.writes) for each in touches[:place])):
                    self.comparisons += 1
                    if self.comparisons > most:
                        return True
                    if other.task == touch.task or not (writes or touch.writes):
                        continue
                    lasts = touch.lasts or (isinstance(other, Touch) and other.lasts)
                    if lasts or not (other.precedes(touch.clock) or touch.precedes(other.clock)):
                        return True
        return False

    def initials(self, event: Event, task: int, clock: Clock) -> Iterator[int]:
        """Yield the tasks that can take the first step of what came after ``event`` without depending on it.

        Behind all of that comes the next operation of ``task``, whose clock is given.
        """
        behind: list[Event] = []
        seen: set[int] = set()
        for later in self.events[self._place_of(event) + 1 :]:
            self.comparisons += 1
            if event.precedes(later.clock):
                continue
            if later.task not in seen and not any(each.precedes(later.clock) for each in behind):
                yield later.task
            seen.add(later.task)
            behind.append(later)
        if task not in seen and not any(each.precedes(clock) for each in behind):
            yield task

    def _related(self, operation: Operation) -> Iterable[Event]:
        """Return earlier operations that may depend on this one, the latest first."""
        if operation.kind == "builtin":
            return reversed(self.events)
        if operation.resource is None:
            return ()
        same = (self._by_resource if operation.writes else self._writes).get(operation.resource, [])
        if not self._anywhere:
            return reversed(same)
        return sorted(same + self._anywhere, key=lambda event: event.node, reverse=True)

    def _place_of(self, event: Event) -> int:
        place = min(event.node, len(self.events) - 1)  # not every decision has an event
        while self.events[place] is not event:
            place -= 1
        return place


def depend(one: Operation, other: Operation) -> bool:
    """Whether the order of the two may matter."""
    if one.kind == "builtin" or other.kind == "builtin":
        return (one.writes or other.writes) and _is_access(one) and _is_access(other)
    return one.conflicts_with(other)


def _covers(earlier: Operation, later: Operation) -> bool:
    """Whether all that comes before ``earlier`` and depends on ``later`` depends on ``earlier`` too."""
    return earlier.writes and earlier.resource == later.resource is not None and earlier.part == later.part


def _is_access(operation: Operation) -> bool:
    return operation.kind == "builtin" or (
        operation.resource is not None and operation.kind not in ("acquire", "release", "try", "get", "put")
    )


def _join(clock: Clock, other: Clock) -> None:
    """Take over what ``other`` knows."""
    if len(other) > len(clock):
        clock.extend([0] * (len(other) - len(clock)))
    for task, number in enumerate(other):
        if number > clock[task]:
            clock[task] = number
