"""The stacks of all threads.

CPython lists the threads of all interpreters, and makes the frame objects of the others' in the memory of the one that
asks; freed by the other one, they take the process down (seen on 3.12 and 3.13 with ``_interpreters.create``). So
nothing is known of threads while another interpreter runs.
"""

from __future__ import annotations

import sys
import types

_MODULES = ("_interpreters", "_xxsubinterpreters")  # from 3.13 on, and before


def stacks() -> dict[int, types.FrameType]:
    """Return the innermost frame of each thread that lives, by its ident; nothing while another interpreter runs.

    Without anybody letting the GIL go.
    """
    for name in _MODULES:
        module = sys.modules.get(name)
        if module is not None and _others_run(module):
            return {}
    return sys._current_frames()


def _others_run(module: types.ModuleType) -> bool:
    numbers = [int(each[0] if isinstance(each, tuple) else each) for each in module.list_all()]
    return any(number and module.is_running(number) for number in numbers)  # 0 is the main one, which is ours
