"""What must be the same in every run: the order of a set, the names of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Set
from typing import Any


class OrderedSet(set[Any]):
    """A set that is walked in the order of insertion: one of the orders a set may have, and the same in every run."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        self._order = dict.fromkeys(items)
        super().__init__(self._order)

    def __iter__(self) -> Iterator[Any]:
        return (item for item in list(self._order) if item in self)

    def __sub__(self, other: Set[Any]) -> OrderedSet:
        return OrderedSet(item for item in self if item not in other)

    def add(self, item: Any) -> None:
        self._order[item] = None
        super().add(item)


def thread_name(thread: threading.Thread) -> str:
    """Return a name that is the same in every run: the one the user gave, or the target's."""
    name = thread.name
    if not name.startswith(("Thread-", "Dummy-")):
        return name
    target = getattr(thread, "_target", None)
    return function_name(target) if target is not None else type(thread).__name__


def function_name(function: Any) -> str:
    """Return the name of what a thread runs."""
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    return "thread" if name in (None, "<lambda>") else str(name)
