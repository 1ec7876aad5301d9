"""Who is told what happens in a run, operation by operation, to think about it afterwards."""

from __future__ import annotations

from collections.abc import Hashable
from types import CodeType
from typing import Protocol

from pytest_concur.model.operation import Operation

Stack = tuple[tuple[CodeType, int], ...]
"""Code objects and offsets of instructions in them, innermost first; without the engine's own."""


class Witness(Protocol):
    """Tasks are named by their numbers, locks and queues by the resource of their operations."""

    @property
    def names_locks(self) -> bool:
        """Whether it is told under which name somebody holds a lock: to find that out takes a look at all objects."""
        ...

    def accessed(self, task: int, operation: Operation, stack: Stack) -> None:
        """A task is just doing this."""
        ...

    def acquired(self, task: int, lock: Hashable, name: str, stack: Stack, *, may_block: bool) -> None:
        """A task has got a lock that it did not hold."""
        ...

    def released(self, task: int, lock: Hashable) -> None:
        """A task has set a lock free, its own or that of another one."""
        ...

    def put(self, task: int, queue: Hashable) -> None:
        """A task has put something where others look for it."""
        ...

    def got(self, task: int, queue: Hashable) -> None:
        """A task has looked, and knows now what was done before."""
        ...

    def started(self, task: int, other: int) -> None:
        """``task`` has started ``other``."""
        ...

    def joined(self, task: int, other: int) -> None:
        """``task`` knows that ``other`` has ended."""
        ...
