"""The world outside control: the system, processes, other machines, threads that nobody knows. It needs real time.

Whether a run has to do with it is asked by looking on: each call of a function written in C is seen by a profile
function, which is slow, and so is done only where the answer matters.
"""

from __future__ import annotations

import _thread
import io
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

from pytest_concur.engine.frames import is_ours
from pytest_concur.instrument.rewrite import UNREADABLE, is_bound

PATIENCE_S = 10.0
"""Real time that the outside is given in a run."""

NAP_S = 0.001
"""Real time given at once to a task that is waited for in a loop."""

Kind = Literal["clock", "others", "locks", "files", "foreign"]
"""What a function written in C may have to do with.

``others``: processes, sockets, signals: somebody else may act, in real time. ``locks``: it may make another task wait,
or fail, until this one is through. ``foreign``: it is of no standard library, and nobody knows.
"""

_CLOCK = frozenset(
    "sleep time time_ns monotonic monotonic_ns perf_counter perf_counter_ns clock_gettime clock_gettime_ns localtime "
    "gmtime ctime asctime strftime now utcnow today process_time process_time_ns thread_time thread_time_ns".split()
)
_OTHERS = frozenset({
    "_socket", "_ssl", "select", "_posixsubprocess", "_signal", "signal", "resource", "_winapi", "_overlapped",
})  # fmt: skip
_CALLS_OF_OTHERS = frozenset(
    "wait wait3 wait4 waitid waitpid kill killpg read readv write writev pidfd_open posix_spawn posix_spawnp".split()
)
_LOCKS = frozenset({"fcntl", "msvcrt", "_sqlite3", "sqlite3", "mmap", "_multiprocessing", "_posixshmem"})
_CALLS_LIKE_LOCKS = frozenset({"open", "mkdir", "link", "symlink"})
_LETS_GIL_GO = frozenset({"posix", "nt", "_socket", "select", "fcntl", "_sqlite3", "sqlite3"})
_HARMLESS = frozenset(
    "fspath putenv unsetenv getpid getcwd urandom cpu_count sched_getaffinity get_terminal_size isatty getsignal "
    "valid_signals default_int_handler register_at_fork".split()
)
_IN_MEMORY = (io.StringIO, io.BytesIO, io.IncrementalNewlineDecoder)
_NOT_MEANT = frozenset({"_pytest", "pluggy", "pytest", "logging"})
"""Packages whose calls of the system are no step of the program."""

_KEEPS_NOTHING = frozenset(
    "abc _collections_abc enum genericpath ntpath numbers operator os posixpath re stat string textwrap types typing "
    "warnings".split()
)
"""Modules written in Python that keep nothing which tasks share, and look at nothing but what they are given."""

_KEEPS_FOR_OTHERS = frozenset({"functools"})
"""Modules whose waiting is under control, and that keep what tasks share all the same."""

_never = _thread.allocate_lock()  # to wait a moment: a test may have put something else in the place of ``time.sleep``
_never.acquire()


def wait(seconds: float) -> None:
    """Let real time pass. Lets the GIL go meanwhile."""
    _never.acquire(timeout=seconds)


class Behind:
    """A function with something to be done before it; whoever looks on sees it called from where this is called.

    For whom it is handed to without being called, it is as good as the function.
    """

    __slots__ = ("_first", "_function")

    def __init__(self, first: Callable[[], None], function: Callable[..., Any]) -> None:
        self._first = first
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._first()
        return self._function(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._function, name)

    def __eq__(self, other: object) -> bool:
        return bool(self._function == (other._function if type(other) is Behind else other))

    def __hash__(self) -> int:
        return hash(self._function)

    def __repr__(self) -> str:
        return repr(self._function)


_CALLS_FUNCTION = Behind.__call__.__code__


class Signs:
    """What shows that a run has to do with the outside."""

    def __init__(
        self,
        is_users: Callable[[types.FrameType], bool],
        note_call: Callable[[types.FrameType, bool], None] = lambda frame, lets_gil_go: None,
        note_unseen: Callable[[str], None] = lambda module: None,
    ) -> None:
        """
        Args:
            is_users: Whether a frame runs the user's code. What pytest does for a run is no part of it.
            note_call: Is told which of these frames calls a function, by whatever way, that may touch files, sockets,
                databases, and whether that lets the GIL go before it does.
            note_unseen: Is told the name of a package written in Python, of which these frames call something that has
                no scheduling points.
        """
        self._is_users = is_users
        self._note_call = note_call
        self._note_unseen = note_unseen
        self.kinds: set[Kind] = set()
        self.clock_readers: set[str] = set()
        """Top-level names of installed packages that ask the real clock, or sleep in real time."""

    @property
    def of_real_time(self) -> bool:
        """Whether somebody else may act, or the real clock counts; files alone are seldom written by others."""
        return not self.kinds.isdisjoint({"clock", "others", "foreign"})

    @property
    def of_order(self) -> bool:
        """Whether tasks may be put in an order that is not seen."""
        return not self.kinds.isdisjoint({"others", "locks"})

    @contextmanager
    def looking_on(self) -> Iterator[None]:
        """Look on at what the calling thread does."""
        before = _profile_function()
        self.look_on()
        try:
            yield
        finally:
            sys.setprofile(before)

    def look_on(self) -> None:
        """Look on at what the calling thread does, from now on, beside whoever does so already."""
        before = _profile_function()

        def see(frame: types.FrameType, event: str, argument: object) -> None:
            if before is not None:
                before(frame, event, argument)
            if event == "c_call":
                self._see(frame, argument)
            elif event == "call" and frame.f_back is not None:
                self._see_unseen(frame, frame.f_back)

        sys.setprofile(see)

    def _see(self, frame: types.FrameType, function: object) -> None:
        if frame.f_code is _CALLS_FUNCTION and frame.f_back is not None:
            frame = frame.f_back
        if is_ours(frame):
            return
        name = str(getattr(function, "__name__", ""))
        home = _home_of(function, name)
        kind = _kind_of(home, name)
        if kind is None:
            return
        caller: types.FrameType | None = frame
        while caller is not None and not self._is_users(caller):
            if _package_of(caller) in _NOT_MEANT or is_ours(caller):
                return
            caller = caller.f_back
        self.kinds.add(kind)
        if kind == "clock" and "-packages" in frame.f_code.co_filename:
            self.clock_readers.add(_package_of(frame))
        elif kind != "clock" and caller is not None:
            self._note_call(caller, home in _LETS_GIL_GO or (home in ("_io", "io") and name == "open"))

    def _see_unseen(self, frame: types.FrameType, caller: types.FrameType) -> None:
        package, code = _package_of(frame), frame.f_code
        if is_bound(code) and package not in _KEEPS_FOR_OTHERS:
            return
        if code.co_consts[-1:] == (UNREADABLE,):
            self._note_unseen(code.co_qualname)
        if package in _NOT_MEANT or package in _KEEPS_NOTHING or code.co_filename.startswith("<") or is_ours(frame):
            return
        if self._is_users(caller) and not self._is_users(frame):
            self._note_unseen(package)


def _package_of(frame: types.FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?")).partition(".")[0]


def _profile_function() -> Callable[[types.FrameType, str, object], object] | None:
    """Return what looks on in this thread, if it can be called: ``cProfile`` puts something else there on 3.11."""
    found: Any = sys.getprofile()
    return found if callable(found) else None


def _home_of(function: object, name: str) -> str:
    """Return the module of a function written in C; for a method, that of the class that has it."""
    owner: Any = getattr(function, "__self__", None)
    owner_type = type(owner)  # what the owner says of itself may be code of the user's
    if owner is None or issubclass(owner_type, types.ModuleType):
        return str(getattr(owner, "__name__", None) or getattr(function, "__module__", None))
    for kind in (owner if issubclass(owner_type, type) else owner_type).__mro__:
        if any(kind is each for each in _IN_MEMORY):
            break
        if type(kind.__dict__.get(name, _python)) is not types.FunctionType:
            return kind.__module__
    return "builtins"


def _python() -> None:
    """Stands for all methods written in Python."""


@cache
def _kind_of(home: str, name: str) -> Kind | None:
    module = home.partition(".")[0]
    is_posix = module in ("posix", "nt")
    if name in _HARMLESS:
        return None
    if module in ("time", "datetime"):
        return "clock" if name in _CLOCK else None
    if module in _OTHERS or (is_posix and name in _CALLS_OF_OTHERS):
        return "others"
    if module in _LOCKS or (is_posix and name in _CALLS_LIKE_LOCKS):
        return "locks"
    if is_posix or module in ("_io", "io"):
        return "files"
    is_standard = module in sys.stdlib_module_names or module == "None"
    return None if is_standard else "foreign"
