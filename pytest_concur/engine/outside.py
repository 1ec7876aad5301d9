"""The world outside control: other processes, other machines, threads that nobody knows. It needs real time."""

from __future__ import annotations

import _thread
import os
import stat

PATIENCE_S = 10.0
"""Real time that the outside is given where there is a sign of it."""

SIGNLESS_PATIENCE_S = 1.0
"""The same where there is none: a file may be all that is shared."""

NAP_S = 0.001
"""Real time given at once to a task that is waited for in a loop."""

_never = _thread.allocate_lock()  # to wait a moment: a test may have put something else in the place of ``time.sleep``
_never.acquire()


def wait(seconds: float) -> None:
    """Let real time pass. Lets the GIL go meanwhile."""
    _never.acquire(timeout=seconds)


def has_signs() -> bool:
    """Whether this process has children, or sockets; true where the system cannot tell."""
    return _has_children() or _has_sockets()


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except (AttributeError, OSError):
        pass
    return True


def _has_sockets() -> bool:
    try:
        numbers = list(map(int, os.listdir("/dev/fd")))
    except OSError:
        return True
    return any(map(_is_socket, numbers))


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:  # closed since it was listed
        return False
