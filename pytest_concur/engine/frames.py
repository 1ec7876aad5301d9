"""What stacks say: where a task was switched away, what it waits for in the words of the library it called."""

from __future__ import annotations

import linecache
import os
import sys
import types
from functools import cache

from pytest_concur.engine.holder import name_of
from pytest_concur.engine.stacks import stacks
from pytest_concur.engine.task import Task
from pytest_concur.instrument.scope import has_prefix
from pytest_concur.model.waiting import Place, Waiting

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY_MODULES = (
    "threading", "queue", "concurrent.futures", "contextlib", "logging", "_weakrefset", "functools", "socket",
    "selectors", "subprocess", "ssl", "http", "urllib", "multiprocessing", "asyncio",
)  # fmt: skip

_BEGINNINGS = ("Thread._bootstrap", "Thread.run", "Timer.run")
"""Library functions that nobody has called: a thread begins there."""


def site_of(frame: types.FrameType | None) -> str:
    """Return a name for the place where user code stands: its line's text, which moves with edits around it."""
    frame = user_frame(frame)
    if frame is None:
        return "?"
    code, line = frame.f_code, frame.f_lineno or 0
    text = linecache.getline(code.co_filename, line).strip()
    return f"{code.co_qualname}, {text!r}" if text else f"{code.co_qualname}+{line - code.co_firstlineno}"


def place_of(frame: types.FrameType | None) -> Place:
    """Return the line of the innermost frame that is neither ours nor of a library that blocks on users' behalf."""
    frame = user_frame(frame)
    if frame is None:
        return Place("?", 0, "?")
    return Place(frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_qualname)


def user_frame(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the innermost frame that counts for a reader; the innermost of a library if there is no better."""
    fallback = None
    while frame is not None:
        if not is_ours(frame):
            if not _is_library(frame):
                return frame
            fallback = fallback or frame
        frame = frame.f_back
    return fallback


def one_line(error: BaseException) -> str:
    """Tell an exception in one line; not while a run goes on, as what it says of itself may be code of the user's."""
    try:
        text = str(error).strip().split("\n")[0]
    except Exception:
        text = "<exception str() failed>"  # as tracebacks put it
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def error_at(error: BaseException) -> str:
    """The same, with the place where it was raised."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return one_line(error)
    return f"{one_line(error)} ({os.path.basename(innermost.tb_frame.f_code.co_filename)}:{innermost.tb_lineno})"


def asking_frame(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the frame that calls one of ours; ``None`` if it is the standard library's, on whoever's behalf."""
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    module = str(frame.f_globals.get("__name__")).partition(".")[0] if frame is not None else ""
    return None if module in sys.stdlib_module_names else frame


def call_at(frame: types.FrameType) -> str:
    """Name the call at which a frame stands: the source of the line that counts for a reader, shortened."""
    stands = user_frame(frame) or frame
    text = linecache.getline(stands.f_code.co_filename, stands.f_lineno or 0).strip()
    return text[:60] if text else stands.f_code.co_qualname


def is_ours(frame: types.FrameType) -> bool:
    return _is_our_file(frame.f_code.co_filename)


@cache
def _is_our_file(name: str) -> bool:
    return name.startswith(_PACKAGE)


def waiting_of(task: Task, *, names: bool = False) -> Waiting:
    """Describe what a blocked task waits for; ``names``: of queues and the like, too, which takes long."""
    assert task.waiting_for is not None and task.ident is not None, "only a blocked task can be described"
    frame = stacks().get(task.ident)
    resource = task.waiting_for
    for_signal = getattr(resource, "is_signal", False)
    holder = None if for_signal else resource.holder()
    library = _library_frame(frame)
    call = library.f_code.co_qualname if library is not None else ""
    what = f"{call}()" if for_signal and call else resource.describe()
    if call and not for_signal and call not in ("Condition.__enter__", "Thread.join", "Thread._wait_for_tstate_lock"):
        what = f"{what} in {call}()"
    elif for_signal and names and library is not None and (name := name_of(library.f_locals.get("self"))):
        what = f"{what} of {name}"
    taken_at = getattr(resource, "taken_at", None) if holder is not None else None
    return Waiting(task.name, what, holder.name if holder else None, place_of(frame), taken_at, id(resource))


def _library_frame(frame: types.FrameType | None) -> types.FrameType | None:
    """Return the outermost library function between the wait and the user's line, such as ``Queue.get``."""
    found = None
    while frame is not None:
        if not is_ours(frame):
            if not _is_library(frame):
                return found
            if not frame.f_code.co_qualname.startswith(_BEGINNINGS):
                found = frame
        frame = frame.f_back
    return found


def _is_library(frame: types.FrameType) -> bool:
    return _is_library_module(str(frame.f_globals.get("__name__", "")))


@cache
def _is_library_module(name: str) -> bool:
    return has_prefix(name, _LIBRARY_MODULES)
