"""A cache that loads a value when it is first asked for it, and a version that loads it once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Cache:
    """Loads on demand; two threads that ask at once may both load."""

    def __init__(self, load: Callable[[str], object]) -> None:
        self._load = load
        self._values: dict[str, object] = {}

    def get(self, key: str) -> object:
        if key not in self._values:
            self._values[key] = self._load(key)
        return self._values[key]


class LockedCache(Cache):
    """Loads each value once."""

    def __init__(self, load: Callable[[str], object]) -> None:
        super().__init__(load)
        self._lock = threading.Lock()

    def get(self, key: str) -> object:
        with self._lock:
            return super().get(key)
