"""How the process is set while runs go on: one processor, no exception lost."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pytest_concur.engine.hooks import Hooks
from pytest_concur.engine.stacks import stacks
from pytest_concur.errors import TaskAborted
from pytest_concur.instrument.collector import all_objects


def set_children_free(hooks: Hooks) -> None:
    """Let a child that is forked in a run, where nobody could refuse it, go on without control.

    The other tasks are not there. For as long as this process lives: it cannot be taken back.
    """
    ours = weakref.ref(hooks)

    def leave() -> None:
        if (found := ours()) is not None:
            found.active = None

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=leave)


@contextmanager
def one_processor(worker: int | None) -> Iterator[None]:
    """Keep this thread, and the threads it starts, on one processor: a run is serial, and hand-overs get cheaper.

    Under the policy for batch work (Linux, sched(7)) a thread that is woken does not interrupt the one that woke it,
    which is about to stop anyway and still holds the GIL: that halves the cost of a hand-over.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)
    chosen = _processor_now(allowed) if worker is None else sorted(allowed)[worker % len(allowed)]
    try:
        os.sched_setaffinity(0, {chosen})
        if policy == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    except OSError:  # not allowed here: slower, no more
        pass
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, allowed)
            os.sched_setscheduler(0, policy, os.sched_param(0))


def _processor_now(allowed: set[int]) -> int:
    """Return the processor that the system has chosen for this process; the first one if it does not tell (proc(5))."""
    try:
        number = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[36])
    except (OSError, ValueError, IndexError):
        number = -1
    return number if number in allowed else min(allowed)


@contextmanager
def note_unraisable(notes: list[str]) -> Iterator[Callable[[], bool]]:
    """Note exceptions that finalizers could not raise, as text: kept as objects they would keep a run's world alive.

    Yields:
        Whether one of them was a Ctrl-C, which nobody has got to see.

    Raises:
        KeyboardInterrupt: in the end, if one was.
    """
    is_interrupted = False

    def note(unraisable: sys.UnraisableHookArgs) -> None:
        nonlocal is_interrupted
        is_interrupted |= issubclass(unraisable.exc_type, KeyboardInterrupt)
        if issubclass(unraisable.exc_type, TaskAborted):
            return  # ours: a run was over, and a finalizer's code had a scheduling point
        text = f"ignored in {unraisable.object!r}".split(" at 0x")[0]
        sentence = f"{unraisable.exc_type.__name__}: {unraisable.exc_value} {text}"
        if sentence not in notes:
            notes.append(sentence)

    before = sys.unraisablehook
    sys.unraisablehook = note
    try:
        yield lambda: is_interrupted
    finally:
        sys.unraisablehook = before
    if is_interrupted:
        raise KeyboardInterrupt


@contextmanager
def forget_threads() -> Iterator[None]:
    """Let ``threading`` forget what an interrupted run left there: locks, and threads that are gone."""
    active: dict[int, object] = threading._active  # type: ignore[attr-defined]
    limbo: dict[threading.Thread, object] = threading._limbo  # type: ignore[attr-defined]
    before = {*active, *limbo}
    try:
        yield
    except KeyboardInterrupt:
        for name in ("_active_limbo_lock", "_shutdown_locks_lock"):  # the second until 3.12
            lock = getattr(threading, name, None)
            if lock is not None and (lock._is_owned() if hasattr(lock, "_is_owned") else lock.locked()):
                lock._at_fork_reinit()
        raise
    finally:
        living = stacks()
        if living:  # else nothing is known of them
            for ident in [each for each in active if each not in before and each not in living]:
                active.pop(ident, None)
            for thread in [each for each in limbo if each not in before and each.ident not in living]:
                limbo.pop(thread, None)


def renew_pools() -> None:
    """Let pools that outlive the test start threads anew: those that it had start in a run were ended with the run.

    A pool counts its threads and how many of them are idle; work for one that has gone would wait for ever.
    """
    pools: Any = sys.modules.get("concurrent.futures.thread")
    if pools is None or all(thread.is_alive() for thread in list(pools._threads_queues)):
        return
    executors: list[Any] = [each for each in all_objects() if issubclass(type(each), pools.ThreadPoolExecutor)]
    for pool in executors:
        gone = {thread for thread in getattr(pool, "_threads", ()) if not thread.is_alive()}
        if gone and not pool._shutdown:
            pool._threads.difference_update(gone)
            pool._idle_semaphore = threading.Semaphore(0)
