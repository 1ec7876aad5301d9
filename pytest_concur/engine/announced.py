"""Counterparts of blocking primitives where the scheduler sees operations, and a witness may be told of them.

An acquire is one step here, possible only while the lock is free; where nobody sees operations, a task may also step up
to a lock that is held, and blocks then. Both give the same points, so a schedule means the same in both.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from pytest_concur.engine.blocking import ControlledLock, ControlledQueue
from pytest_concur.engine.frames import is_ours, user_frame
from pytest_concur.engine.holder import name_of
from pytest_concur.engine.seeing import SeeingExecution
from pytest_concur.model.operation import Operation
from pytest_concur.model.witness import Stack

DEEPEST_STACK = 8
"""Frames kept of a stack."""


class AnnouncedLock(ControlledLock):
    """A lock whose operations are announced."""

    _execution: SeeingExecution

    def __init__(self, execution: SeeingExecution, real: Any) -> None:
        super().__init__(execution, real)
        self._number = number = execution.numbering.of(real)
        family = "lock", number
        self.operation = Operation("acquire", number, None, True, family)
        self._try = Operation("try", number, None, True, family)
        self._give_back = Operation("release", number, None, True, family)
        self._witness = execution.witness
        self._name = ""

    def acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        if timeout is None:
            timeout = -1  # as multiprocessing writes it
        elif timeout != -1:
            self._check(blocking, timeout)
        if blocking and timeout == -1:
            self._execution.stand_before(self)
        else:
            self._execution.operate(self._try)
        got = self._acquire(blocking, timeout)
        if got and self._witness is not None and self._depth == 1:
            self._tell_acquired(may_block=blocking and timeout == -1)
        return got

    __enter__ = acquire
    acquire_lock = acquire

    def unasked_acquire(self, blocking: bool = True, timeout: float | None = -1) -> bool:
        got = super().unasked_acquire(blocking, timeout)
        if got and self._depth == 1:
            self._tell_acquired(may_block=blocking and timeout in (-1, None))
        return got

    def release(self) -> None:
        self._execution.operate(self._give_back)
        self.unasked_release()

    def unasked_release(self) -> None:
        self._come_back()
        is_last = self._depth <= 1
        self.quiet_release()  # no switch comes in between
        if is_last and self._witness is not None:
            self._tell_released()

    release_lock = release

    def __exit__(self, *exc_info: object) -> None:
        self.release()

    def _release_save(self) -> Any:
        saved = super()._release_save()
        self._tell_released()
        return saved

    def _acquire_restore(self, saved: Any) -> None:
        super()._acquire_restore(saved)
        self._tell_acquired(may_block=True)

    def _tell_acquired(self, *, may_block: bool) -> None:
        if self._witness is None:
            return
        me = self._execution.current.id
        if self.is_signal:
            self._witness.got(me, self._number)
        else:
            if not self._name:
                self._name = (self._witness.names_locks and name_of(self._real)) or f"lock #{self._number}"
            self._witness.acquired(me, self._number, self._name, stack_from(sys._getframe(1)), may_block=may_block)

    def _tell_released(self) -> None:
        if self._witness is None:
            return
        me = self._execution.current.id
        if self.is_signal:
            self._witness.put(me, self._number)
        else:
            self._witness.released(me, self._number)


class AnnouncedQueue(ControlledQueue):
    """A queue whose operations are announced."""

    _execution: SeeingExecution

    def __init__(self, execution: SeeingExecution, real: Any) -> None:
        super().__init__(execution, real)
        self._number = number = execution.numbering.of(real)
        self.operation = Operation("get", number, None, True, ("queue", number))
        put = Operation("put", number, None, True, ("queue", number))
        self._point = lambda: execution.operate(put)

    def unasked_put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().unasked_put(item)
        if (witness := self._execution.witness) is not None:
            witness.put(self._execution.current.id, self._number)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        execution = self._execution
        if block and timeout is None:
            execution.stand_before(self)
        else:
            execution.operate(self.operation)
        return self.unasked_get(block, timeout)

    def unasked_get(self, block: bool = True, timeout: float | None = None) -> Any:
        execution = self._execution
        item = super().unasked_get(block, timeout)
        if execution.witness is not None:
            execution.witness.got(execution.current.id, self._number)
        return item


def stack_from(frame: types.FrameType | None) -> Stack:
    """Return the stack of a task from the line on that a reader looks for, innermost first."""
    stack: list[tuple[types.CodeType, int]] = []
    frame = user_frame(frame)
    while frame is not None and not is_ours(frame) and len(stack) < DEEPEST_STACK:
        if frame.f_code.co_qualname == "Thread._bootstrap_inner":
            break
        stack.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(stack)
