"""What a task runs on: an OS thread, with a baton of one lock each.

The seam for another carrier: start something that runs a task at its first turn; ``Task.go_on`` gives a task its turn,
``Task.wait_for_turn`` stops until it comes. Both are methods of the baton itself, since a hand-over is a hot path.
``_thread`` primitives are used as they were when this module was imported.
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


def carry(task: Task, body: Callable[[Task], None], handle: Any = None) -> None:
    """Start a thread that waits for its baton and then runs ``body(task)``.

    ``handle``: the handle by which CPython 3.13 joins the thread of a ``threading.Thread``.
    """
    if handle is None:
        task.ident = start_thread(_wait_and_run, (task, body))
    else:
        _start_joinable_thread(lambda: _wait_and_run(task, body), handle=handle, daemon=task.daemon)
        task.ident = handle.ident


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
        _forget_dummy()


def _forget_dummy() -> None:
    """Drop the stand-in that ``threading.current_thread()`` left for this thread: its ident will be used again."""
    active = threading._active  # type: ignore[attr-defined]
    ident = get_ident()
    if isinstance(active.get(ident), threading._DummyThread):
        active.pop(ident, None)
