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
from contextvars import Context
from typing import Any

from pytest_concur.engine.renewal import Inherited, OwnState, inherited, look_anew
from pytest_concur.engine.task import Task

start_thread = _thread.start_new_thread
get_ident = _thread.get_ident
_start_joinable_thread: Any = getattr(_thread, "start_joinable_thread", None)  # CPython 3.13+

Body = Callable[[Task], bool]

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


class _Carrier:
    """A thread that carries one task, and then rests until a later run has one with the same number."""

    __slots__ = ("baton", "ident", "job", "number", "rests", "started_with")

    def __init__(self, number: int, started_with: Inherited) -> None:
        self.number = number
        self.started_with = started_with
        self.baton = _new_baton()
        self.job: tuple[Task, Body] | None = None
        self.rests = False
        self.ident: int | None = None


_carriers: dict[int, _Carrier] = {}  # by number of the task: in every run the same one carries it
MOST_CARRIERS = 64
"""Threads that are kept; tasks with higher numbers get new ones."""


def carry_here(task: Task) -> None:
    """Let the calling thread carry ``task``, which it runs already."""
    task.is_carried_with(_new_baton())
    task.ident = get_ident()


def carry(task: Task, body: Body, handle: Any = None, *, is_bare: bool = False) -> None:
    """Let a thread carry ``task``: it waits for its turn and then runs ``body(task)``.

    Args:
        task: What is carried.
        body: Returns whether the thread may be used again.
        handle: The handle by which CPython 3.13 joins the thread of a ``threading.Thread``.
        is_bare: Nobody knows the thread but by its task, so that one may do which carried others before.
    """
    if handle is not None:
        task.is_carried_with(_new_baton())
        _start_joinable_thread(lambda: _wait_and_run(task, body), handle=handle, daemon=task.daemon)
        task.ident = handle.ident
    elif not is_bare:
        task.is_carried_with(_new_baton())
        task.ident = start_thread(_wait_and_run, (task, body))
    else:
        _carry_bare(task, body)
        return
    assert task.ident is not None
    _forget(task.ident)


def _carry_bare(task: Task, body: Body) -> None:
    number, started_with = task.id, inherited()
    carrier = _carriers.get(number)
    if carrier is None or not carrier.rests or carrier.started_with != started_with:
        if carrier is not None:
            _dismiss(carrier)
        carrier = _Carrier(number, started_with)
        carrier.job = task, body
        carrier.ident = start_thread(_serve, (carrier,))
        _forget(carrier.ident)
        if number < MOST_CARRIERS:
            _carriers[number] = carrier
    else:
        carrier.rests = False
        carrier.job = task, body
    task.is_carried_with(carrier.baton)
    task.ident = carrier.ident


def dismiss_all() -> None:
    """End the threads that rest; the test for which they were kept is over."""
    for carrier in list(_carriers.values()):
        _dismiss(carrier)
    look_anew()


def _dismiss(carrier: _Carrier) -> None:
    """End a thread that rests; one that does not will end by itself."""
    _carriers.pop(carrier.number, None)
    if carrier.rests:
        carrier.rests = False
        carrier.baton.release()


def _serve(carrier: _Carrier) -> None:
    """Carry one task after the other."""
    own = OwnState(carrier.started_with)
    while True:
        carrier.baton.acquire()
        if carrier.job is None:
            return
        # a context of its own, as a new thread would have; and nothing here may keep alive what the task refers to
        may_rest = Context().run(_run_job, carrier)
        if not (may_rest and own.renew()):
            return
        _going.discard(get_ident())
        carrier.rests = True
        if _carriers.get(carrier.number) is not carrier:  # in this order: who dismisses it looks whether it rests
            return


def _run_job(carrier: _Carrier) -> bool:
    job, carrier.job = carrier.job, None
    assert job is not None, "who has a turn has something to do"
    task, body = job
    return _run(task, body)


def _wait_and_run(task: Task, body: Body) -> None:
    task.wait_for_turn()
    _run(task, body)


def _run(task: Task, body: Body) -> bool:
    # raw threads do not get these from ``threading``; coverage and debuggers rely on them
    if (trace := threading.gettrace()) is not None:
        sys.settrace(trace)
    if (profile := threading.getprofile()) is not None:
        sys.setprofile(profile)
    try:
        return body(task)
    finally:
        _going.add(get_ident())


def _new_baton() -> _thread.LockType:
    baton = _thread.allocate_lock()
    baton.acquire()
    return baton


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
