"""The one place where wall time counts: a task that makes no progress where nobody sees it.

A task blocked in a socket, a subprocess or a C extension passes no point and calls no hook, nor does one in a library
that looks again and again whether its time has come. When its thread has used hardly any processor time for a while,
others get a turn; it is taken back when it returns, and reported as uncontrolled. A task that computes is left alone
until :data:`BUSY_LIMIT_S`. Nothing that the watchdog sees ever becomes a deadlock.
"""

from __future__ import annotations

import _thread
import signal
import threading
import time
from typing import Any

from pytest_concur.engine import carrier, direct
from pytest_concur.engine.escapes import DOUBTFUL_PATIENCE_S, KNOWN_PATIENCE_S, PATIENCE_S
from pytest_concur.engine.execution import Execution
from pytest_concur.engine.frames import call_at, is_ours, place_of
from pytest_concur.engine.hooks import Hooks
from pytest_concur.engine.stacks import stacks
from pytest_concur.engine.turns import Turns
from pytest_concur.errors import TaskAborted

TICK_S = 0.02
DOUBTFUL_TICK_S = 0.005
OFTEN_TICK_S = 0.002

OFTEN_S = 0.5
"""How long after a task was blocked where that had happened before it is watched closely whether it happens again."""

COMPUTING_SHARE = 0.25
"""Part of the time for which a thread has a processor if it is one that computes."""

BUSY_LIMIT_S = 20.0
"""How long a run may go without a scheduling point before it is given up."""

FOREIGN_PATIENCE_S = 2.0
"""How long tasks that are all blocked wait for a thread that was started outside the run."""

FAILED_PATIENCE_S = 1.0
"""How long they wait for the outside where a thread has ended with an exception: it may be whom they wait for."""

LOST_TURN_S = 2.0
"""How long the task that has the turn may wait to be told so."""

_RESCUE = getattr(signal, "SIGUSR2", None)
_CALLS_TASK = {Execution._run_task.__code__, direct.call.__code__}
"""The innermost Python code if a task is a function written in C."""

_WAITS = carrier.WAITS | {Turns._wait_for_turn.__code__}
_DEBUGGERS = ("pdb", "bdb", "cmd", "IPython", "pydevd", "_pydevd_bundle", "debugpy")


class Watchdog:
    """Watches the runs of one test from a thread of its own."""

    def __init__(self, hooks: Hooks, *, limit_s: float = BUSY_LIMIT_S) -> None:
        self._hooks = hooks
        self._limit_s = limit_s
        self._stop = _thread.allocate_lock()
        self._often_until = 0.0
        self._seen: Any = None
        self._still: Any = None  # what was seen of the thread when it began to stand still
        self._progress_at = self._still_at = 0.0
        self._asleep_at = -1.0  # since when it had stood still when the system said that it sleeps
        self._call = ""  # the call at which it stood then
        self._old_handler: Any = None

    def __enter__(self) -> Watchdog:
        self._stop.acquire()
        if _RESCUE is not None and _is_main_thread() and signal.getsignal(_RESCUE) is signal.SIG_DFL:
            self._old_handler = signal.signal(_RESCUE, self._rescue)
        carrier.start_other(self._watch)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.release()
        if self._old_handler is not None and _RESCUE is not None:
            signal.signal(_RESCUE, self._old_handler)

    def _watch(self) -> None:
        # a machine that stands still for seconds stops the watch, too: only time in which it could look is counted
        watched, before = 0.0, time.monotonic()
        tick = TICK_S
        while not self._stop.acquire(timeout=tick):
            now = time.monotonic()
            watched, before = watched + min(now - before, 2 * TICK_S), now
            execution = self._hooks.active
            if execution is not None:
                try:
                    self._look(execution, watched)
                except Exception as error:  # without a watch the run might wait for ever
                    self._break_off(execution, error)
            is_close = execution is not None and execution.is_in_doubt
            tick = OFTEN_TICK_S if watched < self._often_until else DOUBTFUL_TICK_S if is_close else TICK_S

    def _look(self, execution: Execution, now: float) -> None:
        seen = id(execution), execution.progress, self._hooks.countdown.passed()
        if seen != self._seen:
            self._seen, self._progress_at, self._still = seen, now, None
            return
        if execution.is_idle:
            self._look_while_idle(execution, now)
            return
        # nothing here lets the GIL go, but where said: what is seen is still so when it is acted upon
        task = execution.current
        ident = execution.current_ident
        frame = stacks().get(ident or 0)
        if ident is None or task.has_ended or frame is None:  # for a moment only, unless its thread is gone
            if now - self._progress_at > self._limit_s:
                execution.lose_turn()
                execution.give_up(f"the thread of task {task.name} has gone and taken the turn along", "unknown")
            return
        if self._has_computed(ident, frame, now):
            if now - self._progress_at > self._limit_s and not _is_debugging(frame):
                self._end_computation(execution, ident, frame, now)
            return
        if (
            is_ours(frame) and frame.f_code not in _CALLS_TASK
        ):  # about to stop or to go on: it must not lose its turn in between
            if frame.f_code in _WAITS:
                if now - self._still_at > LOST_TURN_S and task.baton.locked():
                    task.go_on()  # who was to say so was interrupted by a signal's handler
            elif now - self._still_at > BUSY_LIMIT_S:
                self._end_computation(execution, ident, frame, now)
            return
        where = str(place_of(frame))
        patience = DOUBTFUL_PATIENCE_S if execution.is_in_doubt else PATIENCE_S
        if where in execution.known_places:
            patience = KNOWN_PATIENCE_S
            self._often_until = now + OFTEN_S
        if now - self._still_at < patience or _is_debugging(frame):
            return
        if self._asleep_at != self._still_at:
            self._call = call_at(frame)  # reads a file: lets the GIL go
            if _waits_for_processor(ident, or_disk=execution.is_in_doubt):  # lets the GIL go
                self._still = None
                return
            self._asleep_at = self._still_at
            self._look(execution, now)
            return
        execution.take_turn_away(self._call, where)

    def _break_off(self, execution: Execution, error: Exception) -> None:
        if execution.record.broken is None:
            execution.record.broken = error
            execution.give_up("the watch itself went wrong", type(error).__name__)
            self._interrupt_main(execution)

    def _has_computed(self, ident: int, frame: Any, now: float) -> bool:
        """Whether a thread has used the processor since it was seen to stand still; if so, that begins anew."""
        used = _cpu_time(ident)
        if used is None:  # whoever stands at another instruction has moved
            still: Any = id(frame), frame.f_lasti
            is_same = self._still == still
        else:
            still = ident, used
            share = COMPUTING_SHARE * (now - self._still_at)
            is_same = self._still is not None and self._still[0] == ident and used - self._still[1] <= share
        if not is_same:
            self._still, self._still_at = still, now
        return not is_same

    def _look_while_idle(self, execution: Execution, now: float) -> None:
        may_be_woken = execution.may_be_woken()  # asked first: whoever has gone since then has woken whom it wakes
        execution.pick_somebody()
        has_failed = any(task.is_unhandled and task.exception is not None for task in execution.tasks)
        if not execution.is_idle or (execution.clock.is_in_step and not has_failed):
            return
        if not may_be_woken:
            execution.end_stuck()
            return
        may_take_long = execution.has_externals and not _is_in_handler(execution)
        limit = self._limit_s if may_take_long else min(FOREIGN_PATIENCE_S, self._limit_s)
        if has_failed:
            limit = min(FAILED_PATIENCE_S, limit)
        if now - self._progress_at > limit:
            execution.give_up(
                "all tasks blocked; only a thread outside control could wake them",
                ", ".join(each.describe() for each in execution.stuck_on()),
            )
            self._interrupt_main(execution)

    def _end_computation(self, execution: Execution, ident: int, frame: Any, now: float) -> None:
        import ctypes  # lets the GIL go: what was seen may have changed

        if self._hooks.active is not execution or execution.current_ident != ident:
            return
        what = f"no scheduling point for {self._limit_s:g} s: endless loop or long computation"
        execution.give_up(what, str(place_of(frame)))
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(TaskAborted))
        self._progress_at = self._still_at = now

    def _interrupt_main(self, execution: Execution) -> None:
        main = execution.tasks[0]
        if main.is_external and self._old_handler is not None and _RESCUE is not None and main.ident is not None:
            signal.pthread_kill(main.ident, _RESCUE)

    def _rescue(self, number: int, frame: Any) -> None:
        execution = self._hooks.active
        if execution is not None and execution.is_over:
            raise TaskAborted


def _is_in_handler(execution: Execution) -> bool:
    """Whether a signal's handler runs in the main thread, on top of a wait for its turn, and may never come back.

    It may want a lock that what it has interrupted holds: a deadlock, but one that no schedule repeats.
    """
    main = execution.tasks[0]
    frame = stacks().get(main.ident or 0) if main.is_external else None  # else it waits for its turn
    while frame is not None:
        if frame.f_code is Turns._wait_for_turn.__code__:
            return True
        frame = frame.f_back
    return False


def _cpu_time(ident: int) -> float | None:
    """Processor time of a living thread, in seconds; ``None`` where the system cannot tell."""
    try:
        return time.clock_gettime(time.pthread_getcpuclockid(ident))
    except (AttributeError, OSError):
        return None


def _waits_for_processor(ident: int, *, or_disk: bool = False) -> bool:
    """Whether a thread could run but is given no processor, on a busy or throttled machine; false if unknown.

    ``or_disk``: one that waits for a disk counts, too; no task is what it waits for.

    Linux: proc(5) tells a thread's state; the identifier of its processor clock is made of its number
    (``include/linux/posix-timers.h``).
    """
    try:
        thread = ~(time.pthread_getcpuclockid(ident) >> 3)
        with open(f"/proc/self/task/{thread}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"RD" if or_disk else b"R")
    except (AttributeError, OSError, IndexError):
        return False


def _is_debugging(frame: Any) -> bool:
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).split(".")[0] in _DEBUGGERS:
            return True
        frame = frame.f_back
    return False


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
