"""How long threads wait for locks while code runs freely.

The code is rewritten as for exploring, without points: where it takes a lock, a wrapper tries it first and times the
wait if that fails. What waits to be notified or joined is idle, not in contention, and is not counted.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from itertools import repeat
from threading import Condition
from time import perf_counter
from typing import Any

from pytest_concur.engine.blocking import LOCK, RLOCK
from pytest_concur.engine.frames import place_of
from pytest_concur.engine.holder import name_of
from pytest_concur.model.measurement import Contention

_LOCK_METHOD: Any = type(len)
_JOINS = frozenset({"_wait_for_tstate_lock", "join"})

LEAST_SHARE = 0.05
"""Locks that cost less of the threads' time are not named."""


class LockWatch:
    """Times the waits of one run of the watched code."""

    def __init__(self, *, on_thread: Callable[[], None] = lambda: None) -> None:
        """``on_thread``: called first in each thread that starts."""
        self._on_thread = on_thread
        self._waits: list[tuple[str, float]] = []  # where, seconds; appended to by all threads
        self._names: dict[str, str] = {}
        """Name of the lock by where it was waited for: each run may have made locks of its own."""

        self._thread_seconds: list[float] = []

    def bind(self, placeholder: tuple[Any, ...]) -> object:
        """Return what a placeholder in rewritten code stands for while locks are watched."""
        match placeholder[1]:
            case "countdown":
                return repeat(None)
            case "substitute":
                return self._substitute
            case "context":
                return self._context
            case "thread_begins":
                return self._thread_begins
            case "ordered_set":
                return lambda kind: kind
        return lambda value: value

    def reset(self) -> None:
        """Forget what was seen."""
        self._waits.clear()
        self._thread_seconds.clear()

    def result(self) -> tuple[float, tuple[Contention, ...], int]:
        """Return the share of the threads' time spent waiting for locks, the locks that cost most, and how many ran."""
        total, threads = sum(self._thread_seconds), len(self._thread_seconds)
        if total <= 0:
            return 0.0, (), threads
        by_lock: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for place, seconds in self._waits:
            by_lock[self._names[place]][place] += seconds
        found = [
            Contention(f"{name} ({max(places, key=places.__getitem__)})", min(1.0, sum(places.values()) / total))
            for name, places in by_lock.items()
            if sum(places.values()) >= LEAST_SHARE * total
        ]
        waited = min(1.0, sum(seconds for _, seconds in self._waits) / total)
        return waited, tuple(sorted(found, key=lambda each: -each.share)), threads

    def _substitute(self, value: Any) -> Any:
        if type(value) is not _LOCK_METHOD or value.__name__ not in ("acquire", "__enter__"):
            return value
        lock = value.__self__
        return self._acquire(lock) if type(lock) in (LOCK, RLOCK) else value

    def _context(self, manager: Any) -> Any:
        if type(manager) is Condition:
            lock = manager._lock  # type: ignore[attr-defined]
            return _Watched(lock, self._acquire(lock)) if type(lock) in (LOCK, RLOCK) else manager
        return _Watched(manager, self._acquire(manager)) if type(manager) in (LOCK, RLOCK) else manager

    def _acquire(self, lock: Any) -> Callable[..., bool]:
        def acquire(blocking: bool = True, timeout: float = -1) -> bool:
            if lock.acquire(False):
                return True
            if not blocking:
                return False
            begin = perf_counter()
            got = bool(lock.acquire(True, timeout))
            waited = perf_counter() - begin
            frame = sys._getframe(1)
            if frame.f_code.co_name not in _JOINS:
                place = str(place_of(frame))
                if place not in self._names:  # looking a name up takes long, and the lock must be alive
                    self._names[place] = name_of(lock) or "a lock"
                self._waits.append((place, waited))
            return got

        return acquire

    def _thread_begins(self, run: Callable[[], None]) -> Callable[[], None]:
        def timed() -> None:
            self._on_thread()
            begin = perf_counter()
            try:
                run()
            finally:
                self._thread_seconds.append(perf_counter() - begin)

        return timed


class _Watched:
    """A lock as a ``with`` statement sees it."""

    def __init__(self, lock: Any, acquire: Callable[..., bool]) -> None:
        self._lock = lock
        self._acquire = acquire

    def __enter__(self) -> bool:
        return self._acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()
