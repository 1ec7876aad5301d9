"""Wake-up calls through pipes: how a thread wakes an event loop, and a pool the thread that looks after its workers.

Who waits for them waits for file descriptors, which are none of ours. Where the wake-up call is the only thing that can
come, looking without waiting is enough: it comes from a task, and is there as soon as that task has written it. Where
there is more to wait for (sockets, processes), the real wait is left alone, outside control.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from selectors import BaseSelector
from typing import Any

from pytest_concur.engine.blocking import Unowned
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.task import Task

Ready = Sequence[Any]


class ControlledPipe(Unowned):
    """Stands for the one pipe that somebody waits for."""

    def __init__(self, execution: Execution, real: Any, look: Callable[[], Ready]) -> None:
        """``real``: what is waited with or for; ``look`` returns what is ready there at once."""
        self._execution = execution
        self._real = real
        self._look = look
        self.waiters: list[Task] = []

    def wait(self, timeout: float | None = None) -> Ready:
        execution = self._execution
        execution.point()
        is_patient = timeout is None or timeout > 0
        deadline = None if timeout is None else execution.clock.deadline(timeout)
        while not (ready := self._look()) and is_patient:
            is_patient = execution.block(self, deadline)
        return ready

    def is_worth_a_try(self) -> bool:
        return bool(self._look())

    def describe(self) -> str:
        return f"a wake-up call ({type(self._real).__name__})"


class WakeUps:
    """The hooks where wake-up calls are waited for and written."""

    def __init__(self, mine: Callable[[], Execution | None], substitute: Callable[[Any], Any]) -> None:
        self._mine = mine
        self._substitute = substitute

    def selected(self, select: Any) -> Any:
        """``BaseEventLoop._run_once`` is about to wait for what is registered: no more than its own pipe, perhaps."""
        execution, selector = self._mine(), getattr(select, "__self__", None)
        if execution is None or not isinstance(selector, BaseSelector):
            return select
        own = getattr(sys._getframe(1).f_locals["self"], "_ssock", None)
        if own is None or [each.fd for each in selector.get_map().values()] != [own.fileno()]:
            return partial(self._select_really, select, execution.clock.elapsed_ns)
        return _pipe(execution, selector, lambda: select(0)).wait

    def _select_really(self, select: Any, began_ns: int, timeout: float | None = None) -> Ready:
        """Wait in real time, and let virtual time pass, too: the loop looks at that to see what is due."""
        ready = select(timeout)
        execution = self._mine()
        if execution is not None and not ready and timeout is not None:
            execution.clock.catch_up(began_ns + round(timeout * 1e9))
        return ready  # type: ignore[no-any-return]

    def awaited(self, wait: Any) -> Any:
        """``Pool._wait_for_updates`` is about to wait for a pool's notifier, and for its processes if it has any."""
        execution = self._mine()
        if execution is None:
            return wait

        def wait_under_control(pipes: Sequence[Any], timeout: float | None = None) -> Ready:
            if len(pipes) != 1:
                return wait(pipes, timeout)  # type: ignore[no-any-return]
            return _pipe(execution, pipes[0], lambda: wait(pipes, 0)).wait(timeout)

        return wait_under_control

    def sent(self, send: Any) -> Any:
        """``BaseSelectorEventLoop._write_to_self`` is about to wake its loop."""
        execution = self._mine()
        if execution is None:
            return send
        return _waking(execution, send, sys._getframe(1).f_locals["self"]._selector)

    def put(self, put: Any) -> Any:
        """A pool is about to put something into its notifier, or into a queue of another kind."""
        execution = self._mine()
        queue: Any = getattr(put, "__self__", None)
        if execution is None or type(queue).__module__ != "multiprocessing.queues":
            return self._substitute(put)
        return _waking(execution, put, queue._reader)


def _waking(execution: Execution, write: Callable[[Any], Any], awaited: Any) -> Callable[[Any], Any]:
    """Return what writes the call, and lets who waits for it try again.

    No scheduling point: asyncio writes one in its handler of Ctrl-C, which may have interrupted the scheduler.
    """

    def write_and_wake(data: Any) -> Any:
        result = write(data)
        pipe = execution.locks.get(id(awaited))
        if pipe is not None:
            execution.wake(pipe)
        return result

    return write_and_wake


def _pipe(execution: Execution, real: Any, look: Callable[[], Ready]) -> ControlledPipe:
    execution.record.has_wake_ups = True
    pipe = execution.locks.get(id(real))
    if not isinstance(pipe, ControlledPipe):
        pipe = execution.locks[id(real)] = ControlledPipe(execution, real, look)
    return pipe
