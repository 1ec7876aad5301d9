"""Dynamic partial order reduction (DPOR): one schedule for each order of the operations that depend on each other.

A schedule is run and its *reversible races* are looked for: pairs of dependent operations of two tasks that nothing
else puts in order. Each is a reason to come back to the decision before the first of them and let the other task go
first. Sleep sets keep out what was explored already. When no reason is left, every order that can make a difference was
run: the search is *complete*, relative to the operations that were seen.

Source: Abdulla, Aronis, Jonsson, Sagonas, "Optimal Dynamic Partial Order Reduction", POPL 2014 (source sets); Flanagan,
Godefroid, "Dynamic Partial-Order Reduction for Model Checking Software", POPL 2005.
Departures: a task that gives way, or only reads again and again, has to let another one go on; then, or if a run is too
long or does not repeat, nothing is claimed to be complete. The answers of ``concur.choose`` are all explored.

Pure: no threads, no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from pytest_concur.model.operation import UNKNOWN, Operation
from pytest_concur.model.turn import Moment
from pytest_concur.strategies.strategy import Seen
from pytest_concur.strategies.trace import Clock, Event, Trace, depend

MOST_EVENTS = 1_000
"""Operations of a run beyond which there is no hope of going through all orders."""

MOST_COMPARISONS = 50_000
"""Pairs of operations compared in a run, beyond which the same holds."""

MOST_READS = 40
"""Reads in a row of what was just read, after which a task is taken to spin."""


@dataclass(slots=True)
class Node:
    """A decision: who goes on, or which answer ``concur.choose`` gets."""

    options: tuple[int, ...]
    """Tasks that can run, or answers."""

    chosen: int
    operation: Operation = UNKNOWN
    """What the chosen task does."""

    backtrack: set[int] = field(default_factory=set)
    """Options that must be explored."""

    asleep: dict[int, Operation] = field(default_factory=dict)
    """Options that need not be: explored already, here or in a way that gives the same."""

    def advance(self) -> bool:
        """Choose the next option to explore; return whether there is one."""
        self.asleep[self.chosen] = self.operation
        left = self.backtrack.difference(self.asleep)
        if left:
            self.chosen = min(left)
        return bool(left)


class DPOR:
    """Schedules one run: along a prefix, then the first task that can go on."""

    def __init__(self, prefix: list[Node], trace: Trace) -> None:
        """
        Args:
            prefix: Decisions to begin with. All but the last are those of an earlier run.
            trace: What was done behind those of the earlier run; goes on with this one.
        """
        self._prefix = prefix
        self._trace = trace
        self.path: list[Node] = []
        """The decisions of this run, as far as they are worth coming back to."""

        self.trouble: str | None = None
        """Why nothing can be claimed to be complete, if so."""

        self.has_diverged = self.is_too_long = False
        self._is_redundant = False  # everybody who could go on is asleep: this run shows nothing new
        self._asleep: dict[int, Operation] = {}
        self._pending: dict[int, Operation] = {}
        self._reads = 0  # in a row, of what was read in this row before
        self._read: set[tuple[Hashable, Hashable]] = set()
        self._last = 0

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        if self._is_redundant or self.has_diverged:
            return self._go_on(moment, moment.enabled), 0
        node = self._node(moment)
        if node is None:
            return self._go_on(moment, moment.enabled), 0
        task = node.chosen
        if len(self.path) < len(self._prefix):  # nothing new: what races here was seen in an earlier run
            self._last = task
            return task, 0
        for each in moment.enabled:
            if not self._trace.knows(each):  # only who ran last can have started it
                self._trace.begin(each, self._last)
        self._pending = dict(moment.pending)
        node.operation = operation = moment.pending.get(task, UNKNOWN)
        if len(self._trace.events) < MOST_EVENTS and self._trace.comparisons < MOST_COMPARISONS:
            self._find_races(task, operation)
            self._trace.add(task, operation, len(self.path) - 1)
        else:
            self.is_too_long = True
            self.trouble = "a run has too many operations"
        self._asleep = {
            other: its for other, its in node.asleep.items() if other != task and not depend(its, operation)
        }
        self._note_reads(task, operation)
        self._last = task
        return task, 0

    def choose(self, count: int) -> int:
        place = len(self.path)
        if self._is_redundant or self.has_diverged:
            return 0
        if place >= len(self._prefix):
            node = Node(tuple(range(count)), 0, backtrack=set(range(count)))
        elif self._prefix[place].options == tuple(range(count)):
            node = self._prefix[place]
        else:
            self._diverge()
            return 0
        self.path.append(node)
        return node.chosen

    def note_touch(self, task: int, resource: int, writes: bool, lasts: bool) -> None:
        """A task touches something behind the latest decision, and no operation has told of it.

        Args:
            task: Its number.
            resource: What it touches, as operations name it.
            writes: It may change that.
            lasts: Others may get a turn in the middle.
        """
        if not self._is_redundant and not self.has_diverged and len(self.path) >= len(self._prefix):
            self._trace.touch(task, resource, writes, lasts, len(self.path) - 1)

    def finish(self) -> None:
        """The run is over: look for races of what tasks stood before and never came to."""
        if self.has_diverged:
            return
        if self.trouble is None and self._trace.has_unordered_touch(MOST_COMPARISONS):
            self.trouble = "code written in C touches what others change, and no operation tells when"
        for task, operation in self._pending.items():
            if task != self._last:
                self._find_races(task, operation)

    # ---- decisions ----

    def _node(self, moment: Moment) -> Node | None:
        """Return the decision at hand, ``None`` if there is nothing to explore behind it."""
        place, enabled = len(self.path), tuple(moment.enabled)
        if place < len(self._prefix):
            node = self._prefix[place]
            if node.options != enabled:
                self._diverge()
                return None
        else:
            awake = [task for task in enabled if task not in self._asleep]
            if not awake:
                self._is_redundant = True
                # who is blocked could have come before the one who blocks it, and that order is not redundant
                self._pending = {task: its for task, its in moment.pending.items() if task not in enabled}
                self._last = -1
                return None
            task = self._go_on(moment, awake)
            node = Node(enabled, task, backtrack={task}, asleep=dict(self._asleep))
        self.path.append(node)
        return node

    def _diverge(self) -> None:
        self.has_diverged = True
        self.trouble = "a schedule did not repeat: something else than the schedule decides"

    def _note_reads(self, task: int, operation: Operation) -> None:
        if operation.writes or task != self._last:
            self._read.clear()
        place = operation.resource, operation.part
        self._reads = self._reads + 1 if place in self._read else 0
        self._read.add(place)

    def _go_on(self, moment: Moment, options: list[int]) -> int:
        """Let the first one go on, unless it is waiting for another."""
        gives_way = moment.yielded or self._reads > MOST_READS
        if gives_way and len(moment.enabled) > 1:
            self.trouble = "a task gives way, or waits for another one in a loop"
            return next((task for task in options if task != self._last), options[0])
        return options[0]

    # ---- races ----

    def _find_races(self, task: int, operation: Operation) -> None:
        for event, clock in self._trace.races(task, operation):
            self._come_back(event, task, clock)

    def _come_back(self, event: Event, task: int, clock: Clock) -> None:
        """Make sure that an order is explored in which ``task`` does what it stands before, and then ``event`` is done.

        A first step of what is independent of ``event`` will do, if it leads there.
        """
        node = self.path[event.node]
        if len(node.options) == 1:
            return
        firsts = set(self._trace.initials(event, task, clock))
        if not firsts.isdisjoint(node.backtrack):
            return
        able = [first for first in firsts if first in node.options]
        if task in able:
            node.backtrack.add(task)
        elif able:
            node.backtrack.add(min(able))
        else:
            node.backtrack.update(node.options)


class DPORStrategy:
    """Hands out the prefixes that are left to explore."""

    def __init__(self) -> None:
        self._path: list[Node] = []
        self._trace = Trace()
        self._latest: DPOR | None = None
        self.is_exhausted = False
        self.trouble: str | None = None
        """Why nothing can be claimed to be complete, if so."""

    def scheduler(self, index: int) -> DPOR:
        self._trace.cut(len(self._path) - 1)
        self._latest = DPOR(self._path, self._trace)
        return self._latest

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: Seen) -> None:
        run, self._latest = self._latest, None
        if run is None:
            return
        run.finish()
        self.trouble = self.trouble or run.trouble
        self.trouble = seen.trouble or self.trouble
        if run.has_diverged or run.is_too_long:
            self.is_exhausted = True
            return
        self._path = run.path
        while self._path and not self._path[-1].advance():
            self._path.pop()
        self.is_exhausted = not self._path
