"""A task: a thread under control, and what it waits for."""

from __future__ import annotations

import _thread
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pytest_concur.model.operation import UNKNOWN, Operation


class Resource(Protocol):
    """Something a task can wait for."""

    waiters: list[Task]
    """Tasks that wait for it, longest first."""

    @property
    def operation(self) -> Operation:
        """What a task does that waits for it, when it goes on."""
        ...

    def describe(self) -> str:
        """A name for reports."""
        ...

    def is_worth_a_try(self) -> bool:
        """Whether a task that tried could have it now."""
        ...

    def holder(self) -> Task | None:
        """The task that must act before a waiter can go on, if it is one task."""
        ...


class Task:
    """One flow of control of a run. The test's own body is task 0."""

    ident: int | None = None
    result: Any = None
    exception: BaseException | None = None
    is_unhandled = False
    """The exception reached the end of a thread, so that nobody can have handled it."""

    is_bare = False
    """Nobody is to know its thread: it was started by this project's own fixture."""

    stands = False
    """It stands before something that it will take, and has not tried yet."""

    is_held_up = False
    """And somebody else has taken that; or it waits, and its time-out may fire early."""

    has_ended = False
    slept_s = 0.0
    """Real time that it has slept outside control since others had a turn."""

    switches_before = 0
    """How often the turn had been handed over when that began."""

    is_external = False
    """It runs or blocks outside control; the watchdog saw that."""

    left_ns = 0, 0
    """Virtual and real time when it was seen to be outside control."""

    waiting_for: Resource | None = None
    deadline_ns: int | None = None
    timed_out = False
    boots: Boot | None = None
    gathering: Gathering | None = None
    """What waits for its end, together with others'."""

    raised = 0
    """Times that the task was told that its run is over."""

    _thread_ref: Callable[[], threading.Thread | None] = staticmethod(lambda: None)

    # what most tasks never set stands in the class: tasks are made for every run

    def __init__(self, number: int, name: str, function: Callable[[], Any], *, daemon: bool = False) -> None:
        self.id = number
        self.name = name
        self.function: Callable[[], Any] | None = function
        self.daemon = daemon
        self.waiters: list[Task] = []
        baton = _thread.allocate_lock()
        baton.acquire()
        self.take_baton(baton)

    def take_baton(self, baton: _thread.LockType) -> None:
        """Use this lock, which is held unless the task was just told to go on."""
        self.baton = baton
        self.go_on: Callable[[], None] = baton.release
        self.wait_for_turn: Callable[[], bool] = baton.acquire

    @property
    def thread(self) -> threading.Thread | None:
        """The ``threading.Thread``, if it is one that somebody knows."""
        return self._thread_ref()

    @thread.setter
    def thread(self, thread: object) -> None:
        if isinstance(thread, threading.Thread):
            self._thread_ref = weakref.ref(thread)  # the program may look whether it is gone

    @property
    def operation(self) -> Operation:
        return Operation("join", None, (self.id,))

    def is_worth_a_try(self) -> bool:
        return self.has_ended

    def describe(self) -> str:
        return f"the end of {self.name}"

    def holder(self) -> Task | None:
        return self


class Gathering:
    """The end of several tasks. Who waits for it is woken once, by the last of them."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.left = [task for task in tasks if not task.has_ended]
        self._all = tasks
        self.waiters: list[Task] = []
        for task in self.left:
            task.gathering = self

    @property
    def operation(self) -> Operation:
        return Operation("join", None, tuple(task.id for task in self._all))

    def is_worth_a_try(self) -> bool:
        return not self.left

    def describe(self) -> str:
        return "the end of " + ", ".join(task.name for task in self.left)

    def holder(self) -> Task | None:
        return self.left[0] if self.left else None


class Boot:
    """A ``threading.Thread`` on its way to its ``run`` method, which its starter waits for."""

    operation = UNKNOWN

    def __init__(self, task: Task) -> None:
        self.task = task
        self.waiters: list[Task] = []

    def is_worth_a_try(self) -> bool:
        return False

    def describe(self) -> str:
        return f"the start of {self.task.name}"

    def holder(self) -> Task | None:
        return self.task


class Sleep:
    """A wait for nothing but time."""

    operation = UNKNOWN

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.waiters: list[Task] = []

    def is_worth_a_try(self) -> bool:
        return False

    def describe(self) -> str:
        return f"sleep({self._seconds:g})"

    def holder(self) -> Task | None:
        return None
