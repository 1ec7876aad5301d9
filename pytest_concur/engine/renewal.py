"""A thread made as good as new: what one task leaves behind in it, the next one must not find.

What the interpreter keeps for a thread is part of its state (``PyThreadState``, ``Include/cpython/pystate.h``): a
dictionary with what is in ``threading.local`` objects, the context of context variables, functions that trace and
profile, hooks for asynchronous generators, how far origins of coroutines are tracked. The system keeps which signals
are blocked and how large the stack is, both as they were for the thread that started it. What a compiled library keeps
for a thread nobody can see: where there is one that is not of the standard library, no thread is used again. What the
system counts for a thread cannot be taken back: ``instrument/thread_state.py`` finds code that may see it.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import gc
import sys
import threading
import types
import weakref
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from typing import Any

MOST_CLEARINGS = 10
"""Times that finalizers of what a thread kept may keep something new."""

KEEP_NOTHING = frozenset({"coverage", "markupsafe", "yaml", "_yaml"})
"""Compiled packages, common beside tests, that keep nothing for a thread."""

LATEST = (3, 13)
"""The newest CPython whose state of a thread was read for this; on others no thread is used again."""


_change_mask = getattr(_signal, "pthread_sigmask", None)  # that of ``signal`` makes enumerations, which takes as long

Inherited = tuple[int, set[int]]
"""What a thread has from the one that started it: the size of its stack, the signals that it blocks."""


def inherited() -> Inherited:
    """Return what a thread would have that the calling one started now."""
    return _thread.stack_size(), _blocked_signals()


class OwnState:
    """What the calling thread keeps for itself."""

    def __init__(self, started_with: Inherited) -> None:
        _, self._blocked_signals = started_with
        self._dictionary: dict[Any, Any] | None = None
        self._sentinel: object | None = None
        try:
            self._dictionary = _dictionary_of_state()
            self._sentinel = _sentinel_of_locals()
            self._is_known = self._forgets_locals()
        except Exception:  # of an audit hook, say: what is in its way is none of the task's business
            self._is_known = False

    def renew(self) -> bool:
        """Leave nothing of what a task kept, running finalizers as the thread's end would.

        Returns:
            Whether the thread is as good as new.
        """
        if not self._is_known or may_call_libraries():
            return False
        is_empty = self._clear()
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)
        if sys.get_asyncgen_hooks() != (None, None):
            sys.set_asyncgen_hooks(None, None)
        if sys.get_coroutine_origin_tracking_depth():
            sys.set_coroutine_origin_tracking_depth(0)
        has_thread = _thread.get_ident() in threading._active  # type: ignore[attr-defined]
        return is_empty and not has_thread and _blocked_signals() == self._blocked_signals

    def _clear(self) -> bool:
        """Forget all values; return whether finalizers have kept no new ones."""
        kept, sentinel = self._dictionary, self._sentinel
        if kept is None:
            return False
        for _ in range(MOST_CLEARINGS):
            if (events := sys.modules.get("_asyncio")) is not None:
                events._set_running_loop(None)  # it remembers the last one by the number of the state
            if sentinel is not None and weakref.getweakrefcount(sentinel):
                _forget_locals(sentinel)
            kept.clear()
            if not kept and (sentinel is None or not weakref.getweakrefcount(sentinel)):
                return True
        return False

    def _forgets_locals(self) -> bool:
        probe = threading.local()
        probe.value = 1
        return self._clear() and not hasattr(probe, "value") and self._clear()


def _forget_locals(sentinel: object) -> None:
    """Do what ``threading.local`` objects do when the sentinel of a thread goes.

    Each watches it with a reference whose callback is bound to itself, weakly, and to the thread's key. The callback is
    not called: values that a finalizer keeps meanwhile would be left with nothing that watches. All values are taken
    before the first finalizer runs, which finds none of them.
    """
    taken = []
    for reference in weakref.getweakrefs(sentinel):
        match getattr(reference.__callback__, "__self__", None):
            case (weakref.ref() as local, key):
                held = gc.get_referents(local())
                for watching in (each for each in held if type(each) is set):
                    watching.discard(reference)
                taken += [each.pop(key, None) for each in held if type(each) is dict]
    taken.reverse()
    while taken:
        taken.pop()


_modules_seen = 0
_may_call_libraries = False
_harmless: dict[str, weakref.ref[types.ModuleType]] = {}
"""Modules that were looked at before, by name: most are there in every test."""


def prepare() -> None:
    """Look what there is, before code of a test can be in the way; it may have changed since the last test."""
    global _modules_seen
    _modules_seen = 0
    _dictionary_getter()


def may_call_libraries() -> bool:
    """Whether compiled code is loaded, or may be called, that is not of the standard library."""
    global _modules_seen, _may_call_libraries
    if len(sys.modules) != _modules_seen:
        _modules_seen = len(sys.modules)
        _may_call_libraries = "ctypes" in sys.modules or any(map(_is_foreign, list(sys.modules.items())))
    return _may_call_libraries


def _is_foreign(named: tuple[str, Any]) -> bool:
    name, module = named
    known = _harmless.get(name)
    if known is not None and known() is module:
        return False
    is_foreign = _is_compiled_elsewhere(name, module)
    if not is_foreign and type(module) is types.ModuleType:
        _harmless[name] = weakref.ref(module)
    return is_foreign


def _is_compiled_elsewhere(name: str, module: Any) -> bool:
    package = name.partition(".")[0]
    if package in sys.stdlib_module_names or package in KEEP_NOTHING:
        return False
    try:  # not by its own ways: a stand-in for a module may run anything
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
    except AttributeError:
        return False
    origin = spec.origin if type(spec) is ModuleSpec else None
    return origin == "built-in" or (origin is not None and origin.endswith(tuple(EXTENSION_SUFFIXES)))


def _blocked_signals() -> set[int]:
    return _change_mask(_signal.SIG_BLOCK, ()) if _change_mask is not None else set()


def _dictionary_of_state() -> dict[Any, Any] | None:
    """Return the dictionary in the calling thread's state (``PyThreadState_GetDict``)."""
    get = _dictionary_getter()
    kept = get() if get is not None else None
    return kept if type(kept) is dict else None


@cache
def _dictionary_getter() -> Callable[[], object] | None:
    if sys.version_info[:2] > LATEST:
        return None
    try:
        # not by ``ctypes``: whether that is loaded says whether the program may call libraries
        import _ctypes

        class Address(_ctypes._SimpleCData):  # type: ignore[type-arg]
            _type_ = "P"

        class Function(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI
            _restype_ = Address

        interpreter = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]
        address_of = Function(_ctypes.dlsym(interpreter, "PyThreadState_GetDict"))
    except Exception:  # a build without it, or somebody objects to it
        return None
    return lambda: _ctypes.PyObj_FromPtr(address_of())


def _sentinel_of_locals() -> object | None:
    """Return what ``threading.local`` objects watch, on CPython 3.13, to forget their values when the thread ends."""
    probe = threading.local()
    probe.value = None
    watched = (each for each in gc.get_referents(probe) if type(each) is set)
    return next((reference() for references in watched for reference in references), None)
