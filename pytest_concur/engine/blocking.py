"""Controlled counterparts of blocking primitives.

Each stands for one real object and works on that very object: a controlled acquire tries the real lock without
blocking and, if that fails, stops the task until a release makes another try worth while. A released lock is not handed
to a waiter: CPython lets any thread barge in, and bugs live in that window.
"""

from __future__ import annotations

import _queue
import _thread
import sys
import threading
from typing import Any

from pytest_concur.engine import departing
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.frames import place_of
from pytest_concur.engine.holder import name_of
from pytest_concur.engine.task import Task
from pytest_concur.model.operation import UNKNOWN
from pytest_concur.model.waiting import Place

LOCK = _thread.LockType
RLOCK = _thread.RLock
SIMPLE_QUEUE = _queue.SimpleQueue


class ControlledLock:
    """Stands for a ``Lock``, an ``RLock``, or the semaphore behind the locks of ``multiprocessing``."""

    operation = UNKNOWN

    def __init__(self, execution: Execution, real: Any) -> None:
        self._execution = execution
        self._point = execution.point
        self._real = real
        self._owner: Task | None = None
        self._depth = 0
        self.taken_at: Place | None = None
        self.is_signal = False
        """Nobody owns it: a waiter sleeps on it until it is notified, and then leaves it as it is."""

        self._is_handed_on = False  # released by another task than the one that took it: such locks are signals, too
        self.is_lent = False
        """It is an installed package's, which may leave it held for reasons of its own."""

        self.waiters: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        if timeout is None:
            timeout = -1  # as multiprocessing writes it
        elif timeout != -1:
            self._check(blocking, timeout)
        self._point()
        return self._acquire(blocking, timeout)

    __enter__ = acquire

    def unasked_acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        """Acquire where the caller asks at points of its own."""
        if timeout is None:
            timeout = -1
        elif timeout != -1:
            self._check(blocking, timeout)
        return self._acquire(blocking, timeout)

    def unasked_release(self) -> None:
        self._come_back()
        self.quiet_release()

    def _come_back(self) -> None:
        """Whoever leaves a ``with`` block by an exception of a call outside control has no turn yet."""
        if self._execution.has_externals:
            self._execution.comes_back(_thread.get_ident())

    def quiet_acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire without a scheduling point: for bookkeeping."""
        return self._acquire(blocking, timeout)

    def _acquire(self, blocking: bool, timeout: float) -> bool:
        execution, real = self._execution, self._real
        if not real.acquire(False) and not (self.is_freed_by_going() and real.acquire(False)):
            if not blocking:
                return False
            deadline = None if timeout < 0 else execution.clock.deadline(timeout)
            while True:
                in_time = execution.block(self, deadline)
                if real.acquire(False) or (self.is_freed_by_going() and real.acquire(False)):
                    break
                if not in_time:
                    return False
        self._owner = execution.current
        self._depth += 1
        if self.waiters:
            execution.taken(self)
        if execution.is_recording and self._depth == 1:
            self.taken_at = place_of(_caller())
            if execution.on_taken is not None:
                execution.on_taken(self, self.taken_at)
        return True

    def release(self) -> None:
        self._point()
        self.quiet_release()

    def quiet_release(self) -> None:
        self._real.release()  # raises what the real lock raises
        self._depth -= 1
        if self._depth <= 0:
            if self._owner is not self._execution.current:
                self._is_handed_on = True
            self._owner, self._depth = None, 0
        if self.waiters:
            self._execution.wake(self)  # a reentrant lock may stay held: then the next try fails again

    def __exit__(self, *exc_info: object) -> None:
        self._point()
        self.quiet_release()

    acquire_lock, release_lock = acquire, release

    def _release_save(self) -> Any:
        state = self._real._release_save()
        self._owner, depth, self._depth = None, self._depth, 0
        self._execution.wake(self)
        return state, depth

    def _acquire_restore(self, saved: Any) -> None:
        state, depth = saved
        self._acquire(True, -1)
        self._real.release()
        self._real._acquire_restore(state)
        self._depth = depth

    def is_worth_a_try(self) -> bool:
        """Whether the real lock is free, whoever freed it."""
        if self._real.acquire(False):
            self._real.release()
            return True
        return False

    def is_freed_by_going(self) -> bool:
        """Whether it is free once threads that have no task any more, and may have held it, are gone."""
        if self._owner is not None or self.is_signal:
            return False
        departing.wait()
        return self.is_worth_a_try()

    def holder(self) -> Task | None:
        return None if self.is_signal else self._owner

    def describe(self) -> str:
        # who looks a name up asks every object that there is: not while searching
        name = name_of(self._real) if self._execution.is_recording else ""
        return f"{type(self._real).__name__} {name}".replace("lock lock", "lock").rstrip()

    def is_left_held(self) -> bool:
        """Whether a task that has ended still holds it, or the body, which has returned when this is asked."""
        owner = self._owner
        if owner is None or not (owner.has_ended or owner.id == 0):
            return False
        return not (self.is_signal or self.is_lent or self._is_handed_on) and self._is_really_held()

    def _is_really_held(self) -> bool:
        """Whether the real lock is held, asked by the body: code that is not rewritten may have released it."""
        is_mine = getattr(self._real, "_is_owned", None) or getattr(self._real, "_is_mine", None)
        if self._owner is self._execution.tasks[0] and is_mine is not None:
            return bool(is_mine())  # a reentrant one, which this thread could take once more
        return not self.is_worth_a_try()

    def reset(self) -> None:
        """The run is over: a lock that one of its tasks still holds would block the next run."""
        if self._owner is not None and hasattr(self._real, "_at_fork_reinit") and self._is_really_held():
            self._real._at_fork_reinit()

    def _check(self, blocking: bool, timeout: float) -> None:
        if not blocking or timeout < 0 or timeout > threading.TIMEOUT_MAX:
            self._real.acquire(blocking, timeout)  # wrong arguments: let the real one say so
            raise AssertionError("a lock took arguments that it documents as errors")


class QuietLock:
    """A lock as bookkeeping code sees it: controlled, but no place for a decision."""

    def __init__(self, lock: ControlledLock) -> None:
        self._lock = lock

    def __enter__(self) -> bool:
        return self._lock.quiet_acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.quiet_release()


class UnaskedLock:
    """A lock as a ``with`` statement sees it in code that asks at points of its own."""

    def __init__(self, lock: ControlledLock) -> None:
        self._lock = lock

    def __enter__(self) -> bool:
        return self._lock.unasked_acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.unasked_release()


class ControlledSentinel(ControlledLock):
    """Stands for the lock that C code releases when a thread is gone (CPython 3.11 and 3.12)."""

    def __init__(self, execution: Execution, real: Any, task: Task) -> None:
        super().__init__(execution, real)
        self._task = task

    def _acquire(self, blocking: bool, timeout: float) -> bool:
        execution, task = self._execution, self._task
        if execution.current is task:
            return bool(self._real.acquire())  # the thread itself takes it, at its start
        if not blocking and not task.has_ended:
            return False
        deadline = None if timeout < 0 else execution.clock.deadline(timeout)
        if not execution.join(task, deadline):
            return False
        return bool(self._real.acquire())  # the task has ended, its thread is just about to

    def quiet_release(self) -> None:
        self._real.release()

    def is_left_held(self) -> bool:
        return False

    def reset(self) -> None:
        pass


class Unowned:
    """Stands for what is there or not, and is nobody's while it is not."""

    operation = UNKNOWN

    def is_freed_by_going(self) -> bool:
        return False

    def holder(self) -> Task | None:
        return None

    def is_left_held(self) -> bool:
        return False

    def reset(self) -> None:
        pass


class ControlledQueue(Unowned):
    """Stands for a ``queue.SimpleQueue``, which blocks in C."""

    def __init__(self, execution: Execution, real: Any) -> None:
        self._execution = execution
        self._point = execution.point
        self._real = real
        self.waiters: list[Task] = []

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._point()
        self.unasked_put(item)

    def unasked_put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._real.put(item)
        self._execution.wake(self)

    def put_nowait(self, item: Any) -> None:
        self.put(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        self._point()
        return self.unasked_get(block, timeout)

    def unasked_get(self, block: bool = True, timeout: float | None = None) -> Any:
        if timeout is not None and timeout < 0 and block:
            raise ValueError("'timeout' must be a non-negative number")
        execution = self._execution
        deadline = None if timeout is None else execution.clock.deadline(timeout)
        while True:
            try:
                item = self._real.get_nowait()
            except _queue.Empty:
                if not block:
                    raise
            else:
                if self.waiters and self._real.empty():
                    execution.taken(self)
                return item
            if not execution.block(self, deadline):
                block = False

    def get_nowait(self) -> Any:
        return self.get(False)

    def is_worth_a_try(self) -> bool:
        return not self._real.empty()

    def describe(self) -> str:
        return f"SimpleQueue {name_of(self._real) if self._execution.is_recording else ''}.get()"


class ControlledHandle:
    """Stands for the handle by which a ``threading.Thread`` joins its OS thread (CPython 3.13 on)."""

    operation = UNKNOWN

    def __init__(self, execution: Execution, real: Any, task: Task) -> None:
        self._execution = execution
        self._real = real
        self._task = task
        self.waiters: list[Task] = []

    def join(self, timeout: float | None = None) -> None:
        execution = self._execution
        execution.point()
        deadline = None if timeout is None or timeout < 0 else execution.clock.deadline(timeout)
        if not execution.join(self._task, deadline):
            return
        self._real.join()  # the task has ended, its thread is just about to

    def is_done(self) -> bool:
        if not self._task.has_ended:
            return False
        self._execution.seen_ended(self._task)
        self._real.join()
        return True

    def is_worth_a_try(self) -> bool:
        return False

    def holder(self) -> Task | None:
        return self._task

    def describe(self) -> str:
        return self._task.describe()

    def is_left_held(self) -> bool:
        return False

    def reset(self) -> None:
        pass


def _caller() -> Any:
    return sys._getframe(2)
