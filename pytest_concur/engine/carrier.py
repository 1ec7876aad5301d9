"""What a task runs on: an OS thread, with a baton of one lock each.

The seam for another carrier: start something that runs a task at its first turn; ``Task.go_on`` gives a task its turn,
``Task.wait_for_turn`` stops until it comes. Both are methods of the baton itself, since a hand-over is a hot path.
``_thread`` primitives are used as they were when this module was imported.

A thread whose task has ended still has to go, and finalizers of what it kept for itself run then, outside control: they
may take locks, for a moment in which nobody who is under control could release them.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from typing import Any

from pytest_concur.engine.task import Task

start_thread = _thread.start_new_thread
get_ident = _thread.get_ident
_start_joinable_thread: Any = getattr(_thread, "start_joinable_thread", None)  # CPython 3.13+

GLANCES = 5_000
"""How often to look, 0.2 ms apart, whether threads that have no task any more are gone."""

_GLANCE_S = 0.0002

_going: set[int] = set()  # idents of threads whose task has ended: most are gone, but there is no sign of that
_slow: set[int] = set()  # of those, the ones that were waited for in vain
_never = _thread.allocate_lock()  # to wait a moment: a test may have put something else in the place of ``time.sleep``
_never.acquire()


def start_other(function: Callable[[], None]) -> None:
    """Start a thread that runs no task, with an ident that may have been that of one."""

    def run() -> None:
        _forget(get_ident())
        function()

    start_thread(run, ())


def carry(task: Task, body: Callable[[Task], None], handle: Any = None) -> None:
    """Start a thread that waits for its baton and then runs ``body(task)``.

    ``handle``: the handle by which CPython 3.13 joins the thread of a ``threading.Thread``.
    """
    if handle is None:
        task.ident = start_thread(_wait_and_run, (task, body))
    else:
        _start_joinable_thread(lambda: _wait_and_run(task, body), handle=handle, daemon=task.daemon)
        task.ident = handle.ident
    assert task.ident is not None
    _forget(task.ident)


def _wait_and_run(task: Task, body: Callable[[Task], None]) -> None:
    task.wait_for_turn()
    # raw threads do not get these from ``threading``; coverage and debuggers rely on them
    if (trace := threading.gettrace()) is not None:
        sys.settrace(trace)
    if (profile := threading.getprofile()) is not None:
        sys.setprofile(profile)
    try:
        body(task)
    finally:
        _going.add(get_ident())


def forget_dummy() -> None:
    """Drop the stand-in that ``threading.current_thread()`` left for this thread: its ident will be used again.

    From CPython 3.13 on a finalizer would do that when the thread goes, under a lock of ``threading``.
    """
    active = threading._active  # type: ignore[attr-defined]
    ident = get_ident()
    if isinstance(active.get(ident), threading._DummyThread):
        active.pop(ident, None)
        own = threading._thread_local_info if _start_joinable_thread is not None else None  # type: ignore[attr-defined]
        finalizer = getattr(own, "_track_dummy_thread_ref", None)
        if finalizer is not None:
            finalizer.__class__ = _Nothing


class _Nothing:
    """A finalizer that has nothing to do any more."""


def any_going() -> bool:
    """Whether a thread that has no task any more is still running something."""
    return bool(_still_going())


def wait_for_going() -> None:
    """Let threads that have no task any more go, for a second at most. Lets the GIL go meanwhile."""
    for _ in range(GLANCES):
        if not _still_going() - _slow:
            return
        _never.acquire(timeout=_GLANCE_S)
    _slow.update(_still_going())  # whatever they wait for does not come soon


def _still_going() -> set[int]:
    found = _going.intersection(sys._current_frames())
    active = threading._active  # type: ignore[attr-defined]
    # a Thread that was started since then has the ident of one that is gone
    return {ident for ident in found if isinstance(active.get(ident), threading._DummyThread | None)}


def _forget(ident: int) -> None:
    """An ident is given anew: its thread is gone."""
    _going.discard(ident)
    _slow.discard(ident)
