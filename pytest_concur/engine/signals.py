"""Handlers of signals, written in Python: they run in the main thread, whoever has the turn, and may wake a task."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread

DELIVERY_S = 0.05
"""Wall time in which a signal arrives that a task of this process has sent."""

_OF_PLUGINS = ("pytest_concur", "pytest_timeout")
_never = _thread.allocate_lock()  # to wait a moment: a test may have put something else in the place of ``time.sleep``
_never.acquire()


def are_handled() -> bool:
    """Whether the program handles any signal; Python's own handler of Ctrl-C and those of plugins wake nobody."""
    return any(map(_is_programs, map(_signal.getsignal, _signal.valid_signals())))


def wait() -> None:
    """Let signals arrive that are on their way. Lets the GIL go meanwhile."""
    _never.acquire(timeout=DELIVERY_S)


def _is_programs(handler: object) -> bool:
    is_python = callable(handler) and handler is not _signal.default_int_handler
    return is_python and not str(getattr(handler, "__module__", "")).startswith(_OF_PLUGINS)
