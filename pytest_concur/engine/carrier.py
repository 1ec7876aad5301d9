"""What a task runs on: an OS thread, with a baton of one lock each.

The seam for another carrier: start something that runs a task at its first turn; ``Task.go_on`` gives a task its turn,
``Task.wait_for_turn`` stops until it comes. Both are methods of the baton itself, since a hand-over is a hot path.
``_thread`` primitives are used as they were when this module was imported.

A task that nobody knows by its thread may have one that carried others before, in earlier runs: starting and ending
threads would be half the time of a small run.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from pytest_concur.engine import departing
from pytest_concur.engine.renewal import Inherited, OwnState, inherited, look_anew, may_call_libraries
from pytest_concur.engine.task import Task

start_thread = _thread.start_new_thread
get_ident = _thread.get_ident
_start_joinable_thread: Any = getattr(_thread, "start_joinable_thread", None)  # CPython 3.13+

Body = Callable[[Task], bool]


def start_other(function: Callable[[], None]) -> None:
    """Start a thread that runs no task, with an ident that may have been that of one."""

    def run() -> None:
        departing.forget(get_ident())
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
    elif is_bare and not may_call_libraries():
        _carry_again(task, body)
        return
    else:
        task.is_carried_with(_new_baton())
        task.ident = start_thread(_wait_and_run, (task, body))
    assert task.ident is not None
    departing.forget(task.ident)


def _carry_again(task: Task, body: Body) -> None:
    number, started_with = task.id, inherited()
    carrier = _carriers.get(number)
    if carrier is None or not carrier.rests or carrier.started_with != started_with:
        if carrier is not None:
            _dismiss(carrier)
        carrier = _Carrier(number, started_with)
        carrier.job = task, body
        carrier.ident = start_thread(_serve, (carrier,))
        departing.forget(carrier.ident)
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
        # nothing here may keep alive what the task refers to
        context = Context()  # empty, as that of a new thread; finalizers of what the thread kept see it, too
        is_new = context.run(_run_job, carrier) and context.run(own.renew)
        if len(context):
            del context
            is_new = is_new and own.renew()
        if not is_new:
            return
        departing.forget(get_ident())
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
        departing.note(get_ident())


def _new_baton() -> _thread.LockType:
    baton = _thread.allocate_lock()
    baton.acquire()
    return baton
