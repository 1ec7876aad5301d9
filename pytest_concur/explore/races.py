"""Find data races: two accesses of one place by two tasks, one a write, that nothing puts in order.

Order comes from starting and joining tasks, from locks and what is made of them, from queues, and from the single
operations of built-in containers, which Python makes atomic: who takes what another one has appended knows what was
done before. A race is seen whichever of the two came first, so a few schedules show most.

Source: Flanagan, Freund, "FastTrack: Efficient and Precise Dynamic Race Detection", PLDI 2009.
Departures: reads are kept for each task, never as one epoch; after a race its two accesses count as ordered, so that
what follows from it is not reported too; calls of container methods race with iteration only.
"""

from __future__ import annotations

import dis
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

from pytest_concur.model.operation import Operation
from pytest_concur.model.witness import Stack

VARIABLES = frozenset({"attribute", "global", "cell"})
KINDS = VARIABLES | {"item", "method", "iterate", "test"}
MOST_RACES = 20
POLLS = 2
"""Reads in a loop by one task, without a write of its own, that make it look like polling."""


@dataclass(frozen=True, slots=True)
class Access:
    """One side of a race."""

    task: int
    operation: Operation
    time: int
    """Of the task's clock."""

    stack: Stack
    locks: tuple[str, ...]
    """Names of the locks held, in the order of taking."""

    held: frozenset[Hashable]


@dataclass(frozen=True, slots=True)
class Race:
    """Two accesses that nothing puts in order, the earlier one of this run first."""

    earlier: Access
    later: Access
    excuse: str
    """Why it may do no harm; empty if nothing speaks for that."""

    @property
    def sites(self) -> frozenset[tuple[str, int]]:
        """File and line of both accesses: equal for one race in two runs."""
        return frozenset(line_of(access.stack) for access in (self.earlier, self.later))


@dataclass(slots=True)
class _Place:
    write: Access | None = None
    reads: dict[int, Access] = field(default_factory=dict)
    """The latest of each task."""


class RaceDetector:
    """A witness that looks for races in one run."""

    def __init__(self) -> None:
        self._clocks: dict[int, dict[int, int]] = {0: {0: 1}}
        # by lock, queue or container: what was known when it was released
        self._released: dict[Hashable, dict[int, int]] = {}
        self._held: dict[int, dict[Hashable, str]] = {}
        self._places: dict[tuple[Hashable, Hashable], _Place] = {}
        self._polls: dict[Hashable, int] = {}
        self._looping: set[Hashable] = set()
        self._writers: dict[tuple[Hashable, Hashable], set[int]] = {}
        self._guarded_reads: dict[tuple[Hashable, Hashable, str], set[Hashable]] = {}
        self._found: dict[frozenset[tuple[str, int]], tuple[Access, Access]] = {}

    @property
    def races(self) -> list[Race]:
        """What was found, in the order of the run."""
        return [Race(earlier, later, self._excuse(earlier, later)) for earlier, later in self._found.values()]

    # ---- what puts in order ----

    def acquired(self, task: int, lock: Hashable, name: str, stack: Stack, *, may_block: bool) -> None:
        self._held.setdefault(task, {})[lock] = name
        self._learn(task, self._released.get(lock))

    def released(self, task: int, lock: Hashable) -> None:
        for held in self._held.values():
            held.pop(lock, None)
        self._publish(task, lock)

    def put(self, task: int, queue: Hashable) -> None:
        self._publish(task, queue)

    def got(self, task: int, queue: Hashable) -> None:
        for holder, held in list(self._held.items()):
            if queue in held:  # an event that is just being set: what it says is seen before the lock is released
                self._publish(holder, queue)
        self._learn(task, self._released.get(queue))

    def started(self, task: int, other: int) -> None:
        self._clocks[other] = {**self._clock(task), other: 1}
        self._advance(task)

    def joined(self, task: int, other: int) -> None:
        self._learn(task, self._clocks.get(other))

    # ---- accesses ----

    def accessed(self, task: int, operation: Operation, stack: Stack) -> None:
        kind, resource = operation.kind, operation.resource
        if resource is None or not stack or kind not in KINDS:
            return
        access = self._access(task, operation, stack)
        if kind == "iterate":
            self._check((resource, _STRUCTURE), access)
        elif kind in VARIABLES:
            self._check((resource, operation.part), access)
        elif kind == "item" and operation.part is not None:
            self._check((resource, operation.part), access)
            self._use_container(access, grows=operation.writes and _type_of(operation) is dict)
        else:
            self._use_container(access, grows=operation.writes)

    def _use_container(self, access: Access, *, grows: bool) -> None:
        """One operation of a container, which Python does whole: who comes next knows what was done before."""
        resource = access.operation.resource
        self._learn(access.task, self._released.get(resource))
        if grows:  # races with steps of iterations, not with other changes
            place = self._places.setdefault((resource, _STRUCTURE), _Place())
            for read in place.reads.values():
                self._race_if_unordered(read, access)
            place.write, place.reads = access, {}
        if access.operation.writes:
            self._publish(access.task, resource)

    def _access(self, task: int, operation: Operation, stack: Stack) -> Access:
        held = self._held.get(task, {})
        return Access(task, operation, self._clock(task)[task], stack, tuple(held.values()), frozenset(held))

    def _check(self, where: tuple[Hashable, Hashable], access: Access) -> None:
        place = self._places.setdefault(where, _Place())
        self._race_if_unordered(place.write, access)
        if access.operation.writes:
            for read in place.reads.values():
                self._race_if_unordered(read, access)
            place.write, place.reads = access, {}
            self._writers.setdefault(where, set()).add(access.task)
            return
        place.reads[access.task] = access
        key = _poll(access, where)
        self._polls[key] = self._polls.get(key, 0) + 1
        if key not in self._looping and _is_in_loop(*access.stack[0]):
            self._looping.add(key)
        if access.held:
            self._guarded_reads.setdefault((*where, access.stack[0][0].co_qualname), set()).update(access.held)

    def _race_if_unordered(self, earlier: Access | None, later: Access) -> None:
        if earlier is None or earlier.task == later.task:
            return
        clock = self._clock(later.task)
        if earlier.time <= clock.get(earlier.task, 0):
            return
        clock[earlier.task] = earlier.time
        sites = frozenset((line_of(earlier.stack), line_of(later.stack)))
        if len(self._found) < MOST_RACES:
            self._found.setdefault(sites, (earlier, later))

    def _excuse(self, earlier: Access, later: Access) -> str:
        """Say why a race may do no harm: the patterns that are written on purpose."""
        writer, reader = (earlier, later) if earlier.operation.writes else (later, earlier)
        if reader.operation.writes or reader.operation.kind == "iterate":
            return ""
        where = reader.operation.resource, reader.operation.part
        guards = self._guarded_reads.get((*where, reader.stack[0][0].co_qualname), set())
        if guards & writer.held:
            return (
                "it may be benign: the reader looks again while it holds the writer's lock (double-checked locking); "
                "right only if the value is complete before it is stored"
            )
        key = _poll(reader, where)
        is_looking = key in self._looping and self._polls[key] >= POLLS
        if is_looking and reader.task not in self._writers.get(where, set()):
            return (
                "it may be benign: the reader only looks at it, again and again (a flag); Python reads and writes it "
                "whole, but threading.Event says what is meant, and orders what was done before"
            )
        return ""

    # ---- clocks ----

    def _clock(self, task: int) -> dict[int, int]:
        return self._clocks.setdefault(task, {task: 1})

    def _advance(self, task: int) -> None:
        self._clock(task)[task] += 1

    def _publish(self, task: int, place: Hashable) -> None:
        known = self._released.setdefault(place, {})
        _take_over(known, self._clock(task))
        self._advance(task)

    def _learn(self, task: int, known: dict[int, int] | None) -> None:
        if known:
            _take_over(self._clock(task), known)


_STRUCTURE = "structure"
"""A part of a container: which items it has."""


def _type_of(operation: Operation) -> object:
    return operation.family[0] if isinstance(operation.family, tuple) else None


def _poll(access: Access, where: tuple[Hashable, Hashable]) -> Hashable:
    """Name the line at which a task reads a place; a loop tests its condition at two places of it, above and below."""
    return access.task, where, line_of(access.stack), access.stack[1:]


@lru_cache(maxsize=1_000)
def _is_in_loop(code: CodeType, offset: int) -> bool:
    return any(
        instruction.argval <= offset <= instruction.offset
        for instruction in dis.get_instructions(code)
        if "JUMP_BACKWARD" in instruction.opname
    )


def line_of(stack: Stack) -> tuple[str, int]:
    """Return file and line of the innermost frame."""
    return stack[0][0].co_filename, line_in(stack, 0)


def line_in(stack: Stack, depth: int) -> int:
    """Return the line at which a frame of a stack stands."""
    code, offset = stack[depth]
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            line = number
    return line


def _take_over(clock: dict[int, int], other: dict[int, int]) -> None:
    for task, time in other.items():
        if time > clock.get(task, 0):
            clock[task] = time
