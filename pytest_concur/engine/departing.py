"""Threads whose task has ended, and that have not gone yet.

Finalizers of what such a thread kept for itself run when it goes, outside control: they may take locks, for a moment in
which nobody who is under control could release them. There is no sign of a thread's end; so the thread is noted before,
and forgotten when its ident is given anew.
"""

from __future__ import annotations

import _thread
import threading
from collections.abc import Collection

from pytest_concur.engine.stacks import stacks

GLANCES = 5_000
"""How often to look, 0.2 ms apart, whether the threads are gone."""

_GLANCE_S = 0.0002

_noted: set[int] = set()  # idents: most of these threads are gone
_slow: set[int] = set()  # of those, the ones that were waited for in vain
_never = _thread.allocate_lock()  # to wait a moment: a test may have put something else in the place of ``time.sleep``
_never.acquire()


def note(ident: int) -> None:
    """The task of this thread has ended."""
    _noted.add(ident)


def forget(ident: int) -> None:
    """The thread is gone, or another one has its ident, or it will carry another task."""
    _noted.discard(ident)
    _slow.discard(ident)


def any_left() -> bool:
    """Whether such a thread is still running something."""
    return bool(_left())


def wait() -> None:
    """Let the threads go, for a second at most. Lets the GIL go meanwhile."""
    for _ in range(GLANCES):
        if not _left() - _slow:
            return
        _never.acquire(timeout=_GLANCE_S)
    _slow.update(_left())  # whatever they wait for does not come soon


def wait_for(idents: Collection[int]) -> None:
    """Let these threads go, for a second at most; nothing that they run takes long."""
    for _ in range(GLANCES):
        if stacks().keys().isdisjoint(idents):
            return
        _never.acquire(timeout=_GLANCE_S)


def _left() -> set[int]:
    found = _noted.intersection(stacks())
    active = threading._active  # type: ignore[attr-defined]
    # a Thread that was started since then has the ident of one that is gone
    return {ident for ident in found if isinstance(active.get(ident), threading._DummyThread | None)}


def drop_dummy() -> None:
    """Drop the stand-in that ``threading.current_thread()`` left for this thread: its ident will be used again.

    From CPython 3.13 on a finalizer would do that when the thread goes, under a lock of ``threading``.
    """
    active = threading._active  # type: ignore[attr-defined]
    ident = _thread.get_ident()
    if isinstance(active.get(ident), threading._DummyThread):
        active.pop(ident, None)
        own = getattr(threading, "_thread_local_info", None)
        finalizer = getattr(own, "_track_dummy_thread_ref", None)
        if finalizer is not None:
            finalizer.__class__ = _Nothing


class _Nothing:
    """A finalizer that has nothing to do any more."""
