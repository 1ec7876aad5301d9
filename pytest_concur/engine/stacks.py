"""The stacks of all threads.

CPython lists the threads of all interpreters, and makes the frame objects of the others' in the memory of the one that
asks; freed by the other one, they take the process down (seen on 3.12 and 3.13 with ``_interpreters.create``). So
nothing is known of threads while another interpreter runs, or may do so: one that is being made runs code, too.
"""

from __future__ import annotations

import sys
import types

_MODULES = ("_interpreters", "_xxsubinterpreters")  # from 3.13 on, and before
_at_rest: set[int] = set()  # numbers of interpreters


def stacks() -> dict[int, types.FrameType]:
    """Return the innermost frame of each thread that lives, by its ident; nothing while another interpreter may run.

    Without anybody letting the GIL go.
    """
    for name in _MODULES:
        module = sys.modules.get(name)
        if module is not None and any(each not in _at_rest or module.is_running(each) for each in _others(module)):
            return {}
    return sys._current_frames()


def note_interpreters_at_rest() -> None:
    """Those that are there now have been made; to be called while no other thread makes one."""
    for name in _MODULES:
        if (module := sys.modules.get(name)) is not None:
            _at_rest.update(_others(module))


def _others(module: types.ModuleType) -> list[int]:
    numbers = [int(each[0] if isinstance(each, tuple) else each) for each in module.list_all()]
    return [number for number in numbers if number]  # 0 is the main one, which is ours
