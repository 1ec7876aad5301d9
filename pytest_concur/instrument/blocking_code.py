"""Which code may block, by the names it mentions; and how a library's code is rewritten."""

from __future__ import annotations

import _thread
import dis
import os
import queue
import time
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pytest_concur.instrument.rewrite import INTERCEPTED_METHODS, RECEIVING_METHODS, WAITING_METHODS, Recipe, is_bound
from pytest_concur.instrument.written import nested

_BEFORE_WITH = dis.opmap.get("BEFORE_WITH", -1)
_QUEUE_NAMES = frozenset({"get", "put", "get_nowait", "put_nowait"})
_BLOCKING_NAMES = INTERCEPTED_METHODS - _QUEUE_NAMES - {"time"}

_ROLES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("threading", "Thread._bootstrap_inner"): {"run": "thread_begins", "_invoke_excepthook": "thread_failed"},
    ("threading", "Thread.start"): {"wait": "started_already"},
    ("threading", "_DummyThread.__init__"): {"_newname": "dummy_name"},
    ("threading", "Thread.run"): {"_target": "target"},
    ("threading", "Timer.run"): {"function": "target"},
    ("concurrent.futures.thread", "_WorkItem.run"): {"fn": "target"},
    ("threading", "Event.is_set"): {"_flag": "looked_at"},
    ("threading", "Condition.wait"): {"acquire": "signal", "_is_owned": "is_owned"},
    ("threading", "Condition.notify"): {"_is_owned": "is_owned"},
    ("threading", "Thread._set_tstate_lock"): {"_set_sentinel": "substitute"},
    ("concurrent.futures.thread", "ThreadPoolExecutor.shutdown"): {"_threads": "in_order"},
    ("concurrent.futures._base", "as_completed"): {"set": "ordered_set"},
    ("concurrent.futures._base", "wait"): {"set": "ordered_set"},
    ("concurrent.futures._base", "_AcquireFutures.__init__"): {"id": "stable_id"},
    ("asyncio.base_events", "BaseEventLoop._run_once"): {"select": "selected"},
    ("asyncio.selector_events", "BaseSelectorEventLoop._write_to_self"): {"send": "sent"},
    ("subprocess", "Popen._execute_child"): {"_fork_exec": "substitute"},
    ("subprocess", "Popen._posix_spawn"): {"posix_spawn": "substitute"},
    ("multiprocessing.util", "spawnv_passfds"): {"fork_exec": "substitute"},
    ("multiprocessing.pool", "Pool.__init__"): {"_quick_get": "substitute", "_quick_put": "substitute"},
    ("multiprocessing.pool", "Pool._wait_for_updates"): {"wait": "awaited"},
    ("multiprocessing.pool", "Pool._terminate_pool"): {"put": "notified"},
    ("multiprocessing.pool", "_PoolCache.__delitem__"): {"put": "notified"},
    ("socket", "socket.accept"): {"_accept": "receiving"},
    ("socket", "SocketIO.readinto"): {"recv_into": "receiving"},
    ("selectors", "_PollLikeSelector.select"): {"poll": "polling"},
    ("selectors", "EpollSelector.select"): {"poll": "polling"},
}
"""Hooks of their own: module and function -> name loaded -> role."""

_STARTS_PROCESSES = frozenset({"subprocess", "multiprocessing.util"})
"""Modules that wait for processes, in real time, and are left to do so."""

_THREAD_METHODS = INTERCEPTED_METHODS | {"join", "is_done"}
_WAITING_IN_PACKAGES = WAITING_METHODS | RECEIVING_METHODS
_NAMES_OF_WAITING = _WAITING_IN_PACKAGES - _QUEUE_NAMES


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What a module's globals say about blocking; looked up once a scan, since modules are large and many."""

    intercepted: frozenset[str]
    """Names that stand for a function that must not run as it is under control."""

    knows_queues: bool

    @classmethod
    def of(cls, module: dict[str, object]) -> ModuleFacts:
        names = frozenset(name for name, value in module.items() if _is_intercepted(value))
        return cls(names, _knows_queues(module))

    def intercepted_in(self, code: types.CodeType) -> frozenset[str]:
        """Return those of the intercepted names that ``code``, or code nested in it, mentions."""
        return self.intercepted & {name for each in nested(code) for name in each.co_names}


def may_block(module: str, code: types.CodeType, facts: ModuleFacts, *, is_library: bool) -> bool:
    """Whether the code itself, or code nested in it, touches a blocking primitive or has a hook of its own.

    ``get`` and ``put`` are everyday names; they count where the module knows of queues.
    """
    if (module, code.co_qualname) in _ROLES:
        return True
    if module in _STARTS_PROCESSES:
        return False
    names = _BLOCKING_NAMES | facts.intercepted
    if module == "threading":
        names = names | _THREAD_METHODS
    elif is_library or facts.knows_queues:
        names = names | _QUEUE_NAMES
    return any(not names.isdisjoint(each.co_names) or _BEFORE_WITH in each.co_code[::2] for each in nested(code))


class PackageFacts:
    """Which functions of installed packages may wait: for a lock, a queue, a socket, a time. A few of thousands."""

    _codes: ClassVar[dict[int, tuple[types.CodeType, bool, bool]]] = {}  # by identity; each test of a session asks anew

    def __init__(self) -> None:
        self._modules: dict[int, bool] = {}  # by identity of their globals: whether they know of queues

    def may_wait(self, function: types.FunctionType) -> bool:
        """Whether the function's code, or code nested in it, mentions what is used for that."""
        code = function.__code__
        _, waits, queues = self._codes.get(id(code)) or self._look_at(code)
        return waits or (queues and self._knows_queues(function.__globals__))

    def _look_at(self, code: types.CodeType) -> tuple[types.CodeType, bool, bool]:
        if is_bound(code):
            return code, True, True  # chosen already; it is not for long
        inside = list(nested(code))
        waits = any(
            not _NAMES_OF_WAITING.isdisjoint(each.co_names) or _BEFORE_WITH in each.co_code[::2] for each in inside
        )
        queues = any(not _QUEUE_NAMES.isdisjoint(each.co_names) for each in inside)
        found = self._codes[id(code)] = code, waits, queues
        return found

    def _knows_queues(self, module: dict[str, object]) -> bool:
        known = self._modules.get(id(module))
        if known is None:
            known = self._modules[id(module)] = _knows_queues(module)
        return known


def _knows_queues(module: dict[str, object]) -> bool:
    return any(value is queue or value is queue.SimpleQueue for value in list(module.values()))


def package_recipe(intercepted: frozenset[str]) -> Recipe:
    """Return how an installed package's function is rewritten: where it waits for another task."""
    return Recipe(
        has_points=False,
        globals_intercepted=intercepted & WAITING_METHODS,
        methods_intercepted=_WAITING_IN_PACKAGES,
        is_lent=True,
    )


def library_recipe(module: str, code: types.CodeType, intercepted: frozenset[str]) -> Recipe:
    """Return how a library's function is rewritten: where it blocks, without points."""
    roles = _ROLES.get((module, code.co_qualname), {})
    if module in _STARTS_PROCESSES:
        return Recipe(has_points=False, methods_intercepted=frozenset(), roles=roles)
    is_thread = module == "threading"
    return Recipe(
        has_points=False,
        globals_intercepted=intercepted,
        methods_intercepted=_THREAD_METHODS if is_thread else INTERCEPTED_METHODS,
        roles=roles,
        is_quiet=is_thread and _is_bookkeeping(code.co_qualname),
    )


def _is_bookkeeping(name: str) -> bool:
    """Functions of ``threading`` that keep account, where a switch would be noise.

    ``Condition._is_owned`` tries a lock that the calling task holds: nobody else can change the answer.
    """
    return (name.startswith("Thread.") and name not in {"Thread.join", "Thread._wait_for_tstate_lock"}) or name in {
        "enumerate", "active_count", "_maintain_shutdown_locks", "_register_atexit", "Condition._is_owned",
    }  # fmt: skip


_INTERCEPTED_FUNCTIONS = {
    id(function)
    for function in (
        time.sleep, time.time, time.time_ns, time.monotonic, time.monotonic_ns, time.perf_counter,
        time.perf_counter_ns, os.urandom, _thread.start_new_thread, getattr(_thread, "start_joinable_thread", None),
        getattr(_thread, "_set_sentinel", None),
    )
    if function is not None
}  # fmt: skip


def _is_intercepted(value: object) -> bool:
    """Whether a module's global is one of the functions that must not run as they are under control."""
    if id(value) in _INTERCEPTED_FUNCTIONS:
        return True
    return type(value) is types.BuiltinFunctionType and isinstance(
        getattr(value, "__self__", None), _thread.LockType | _thread.RLock
    )
