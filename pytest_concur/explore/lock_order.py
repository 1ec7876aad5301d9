"""Find locks that are taken in opposite orders: a deadlock that no schedule has shown yet.

An edge says that a task took one lock while it held another. A cycle of edges of different tasks is a possible
deadlock, unless a *gate lock* is held at two of them, which lets only one task in, or one of the tasks had ended before
another was started.

Source: Havelund, "Using Runtime Analysis to Guide Model Checking of Java Programs", SPIN 2000; Bensalem, Havelund,
"Dynamic Deadlock Analysis of Multi-threaded Programs", HVC 2005 (gate locks, segments).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from pytest_concur.explore.races import line_of
from pytest_concur.model.operation import Operation
from pytest_concur.model.witness import Stack

LONGEST_CYCLE = 5
MOST_EDGES = 400


@dataclass(frozen=True, slots=True)
class Edge:
    """A task took ``second`` while it held ``first``."""

    task: int
    first: Hashable
    second: Hashable
    first_name: str
    second_name: str
    first_stack: Stack
    second_stack: Stack
    gates: frozenset[Hashable]
    """Locks held beside ``first``."""

    clock: tuple[tuple[int, int], ...]
    """Of starts and joins: what had happened before."""

    @property
    def sites(self) -> tuple[tuple[str, int], tuple[str, int]]:
        return line_of(self.first_stack), line_of(self.second_stack)


@dataclass(frozen=True, slots=True)
class Inversion:
    """A cycle of edges: each task takes what the next one holds."""

    edges: tuple[Edge, ...]

    @property
    def sites(self) -> frozenset[object]:
        """Equal for the same inversion in two runs."""
        return frozenset(edge.sites for edge in self.edges)


@dataclass(frozen=True, slots=True)
class _Held:
    name: str
    stack: Stack


class LockOrder:
    """A witness that looks for inversions in one run."""

    def __init__(self) -> None:
        self._held: dict[int, dict[Hashable, _Held]] = {}
        self._edges: dict[object, Edge] = {}
        self._clocks: dict[int, dict[int, int]] = {0: {0: 1}}  # advance only where tasks are started and joined

    def accessed(self, task: int, operation: Operation, stack: Stack) -> None:
        pass

    def acquired(self, task: int, lock: Hashable, name: str, stack: Stack, *, may_block: bool) -> None:
        held = self._held.setdefault(task, {})
        if may_block and len(self._edges) < MOST_EDGES:
            for first, its in held.items():
                gates = frozenset(held) - {first}
                clock = tuple(sorted(self._clocks.get(task, {task: 1}).items()))
                edge = Edge(task, first, lock, its.name, name, its.stack, stack, gates, clock)
                self._edges.setdefault((task, first, lock, gates, clock, edge.sites), edge)
        held[lock] = _Held(name, stack)

    def released(self, task: int, lock: Hashable) -> None:
        for held in self._held.values():
            held.pop(lock, None)

    def put(self, task: int, queue: Hashable) -> None:
        pass

    def got(self, task: int, queue: Hashable) -> None:
        pass

    def started(self, task: int, other: int) -> None:
        clock = self._clocks.setdefault(task, {task: 1})
        self._clocks[other] = {**clock, other: 1}
        clock[task] += 1

    def joined(self, task: int, other: int) -> None:
        clock = self._clocks.setdefault(task, {task: 1})
        for each, time in self._clocks.get(other, {}).items():
            clock[each] = max(clock.get(each, 0), time)

    @property
    def inversions(self) -> list[Inversion]:
        """What was found, each cycle once."""
        found: dict[frozenset[object], Inversion] = {}
        for edge in self._edges.values():
            for cycle in self._cycles([edge]):
                inversion = Inversion(tuple(cycle))
                found.setdefault(inversion.sites, inversion)
        return list(found.values())

    def _cycles(self, path: list[Edge]) -> Iterator[list[Edge]]:
        """Yield the cycles that begin with ``path``; the one with the smallest task comes first in each."""
        last = path[-1]
        for edge in self._edges.values():
            if edge.first != last.second or not all(_may_meet(edge, other) for other in path):
                continue
            if edge.task < path[0].task:
                continue
            if edge.second == path[0].first:
                yield [*path, edge]
            elif len(path) < LONGEST_CYCLE - 1 and edge.second not in {other.first for other in path}:
                yield from self._cycles([*path, edge])


def _may_meet(one: Edge, other: Edge) -> bool:
    """Whether two tasks can be at these edges at the same time."""
    if one.task == other.task or one.gates & other.gates:
        return False
    return not _is_before(one, other) and not _is_before(other, one)


def _is_before(one: Edge, other: Edge) -> bool:
    mine = dict(one.clock).get(one.task, 1)
    return dict(other.clock).get(one.task, 0) >= mine
