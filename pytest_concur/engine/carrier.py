"""What a task runs on: an OS thread, with a baton of one lock each.

The seam for another carrier: start something that runs a task at its first turn; ``Task.go_on`` gives a task its turn,
``Task.wait_for_turn`` stops until it comes. Both are methods of the baton itself, since a hand-over is a hot path.
``_thread`` primitives are used as they were when this module was imported.

A task that nobody knows by its thread may have one that carried others before, in earlier runs: starting and ending
threads would be nearly half the time of a small run.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

from pytest_concur.engine import departing
from pytest_concur.engine.renewal import Inherited, OwnState, inherited, may_call_libraries
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

    def __init__(self, task: Task, body: Body, started_with: Inherited) -> None:
        self.number = task.id
        self.started_with = started_with
        self.baton = task.baton
        self.job: tuple[Task, Body] | None = (task, body)
        self.rests = False
        self.ident: int | None = None


_carriers: dict[int, _Carrier] = {}  # by number of the task: in every run the same one carries it
MOST_CARRIERS = 64
"""Threads that are kept; tasks with higher numbers get new ones."""


def carry(task: Task, body: Body, handle: Any = None, *, may_be_used_again: bool = False) -> None:
    """Let a thread carry ``task``: it waits for its turn and then runs ``body(task)``.

    Args:
        task: What is carried.
        body: Returns whether the thread may carry another task.
        handle: The handle by which CPython 3.13 joins the thread of a ``threading.Thread``.
        may_be_used_again: The thread may be one that carried a task of an earlier run, and carry one of a later run.
    """
    if handle is not None:
        _start_joinable_thread(lambda: _wait_and_run(task, body), handle=handle, daemon=task.daemon)
        task.ident = handle.ident
    elif may_be_used_again and task.id < MOST_CARRIERS and not may_call_libraries():
        if _carry_again(task, body):
            return
    else:
        task.ident = start_thread(_wait_and_run, (task, body))
    assert task.ident is not None
    departing.forget(task.ident)


def _carry_again(task: Task, body: Body) -> bool:
    """Let the thread carry ``task`` that has its number, or a new one; return whether there was one."""
    carrier, started_with = _carriers.get(task.id), inherited()
    if carrier is not None and carrier.rests and carrier.started_with == started_with:
        task.take_baton(carrier.baton)
        carrier.rests = False
        carrier.job = task, body
        task.ident = carrier.ident  # last: a task without one, by an interruption, has no thread that would unwind it
        return True
    if carrier is not None:
        _dismiss(carrier)
    carrier = _carriers[task.id] = _Carrier(task, body, started_with)
    task.ident = carrier.ident = start_thread(_serve, (carrier,))
    return False


def dismiss_all() -> None:
    """End the threads that rest: the test for which they were kept is over."""
    resting = [carrier.ident for carrier in list(_carriers.values()) if _dismiss(carrier)]
    if resting:
        departing.wait_for({ident for ident in resting if ident is not None})


def _dismiss(carrier: _Carrier) -> bool:
    """End a thread if it rests, and return whether it does; one that does not will end by itself."""
    _carriers.pop(carrier.number, None)
    was_resting, carrier.rests = carrier.rests, False
    if was_resting:
        carrier.baton.release()
    return was_resting


def _serve(carrier: _Carrier) -> None:
    """Carry one task after the other."""
    if (job := carrier.job) is not None:
        job[0].ident = get_ident()  # see _wait_and_run
    del job
    own = OwnState(carrier.started_with)
    while True:
        carrier.baton.acquire()
        if carrier.job is None:
            break
        # nothing here may keep alive what the task refers to
        context = Context()  # empty, as that of a new thread; finalizers of what the thread kept see it, too
        is_new = context.run(_run_job, carrier) and context.run(own.renew)
        if len(context):
            del context
            is_new = is_new and own.renew()
        if not is_new or carrier.baton.acquire(False):  # told to go on, though its task had ended
            break
        departing.forget(get_ident())
        carrier.rests = True
        if _carriers.get(carrier.number) is not carrier:  # in this order: who dismisses it looks whether it rests
            break
    carrier.rests = False


def _run_job(carrier: _Carrier) -> bool:
    job, carrier.job = carrier.job, None
    assert job is not None, "who has a turn has something to do"
    return _run(*job)


def _wait_and_run(task: Task, body: Body) -> None:
    task.ident = get_ident()  # who started the thread does so, too, unless it was interrupted in that moment
    task.wait_for_turn()
    _run(task, body)


WAITS = frozenset({_wait_and_run.__code__, _serve.__code__})
"""Code in which threads wait for their task's turn."""


def _run(task: Task, body: Body) -> bool:
    # raw threads do not get these from ``threading``; coverage and debuggers rely on them
    if (trace := threading.gettrace()) is not sys.gettrace():  # a thread that rested may have been given one
        sys.settrace(trace)
    if (profile := threading.getprofile()) is not sys.getprofile():
        sys.setprofile(profile)
    try:
        return body(task)
    finally:
        departing.note(get_ident())
