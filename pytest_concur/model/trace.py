"""A trace: what a run did, step by step, for people. It explains; it does not replay (that is a ``Schedule``)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from pytest_concur.model.waiting import Place


@dataclass(frozen=True, slots=True)
class Step:
    """One shared access."""

    task: int
    file: str
    line: int
    function: str
    resource: Hashable
    """What it touches: equal for two accesses of the same object or variable, within one trace."""

    part: Hashable
    """Which attribute or item of it; ``None``: all of it, or nobody knows which."""

    shown: str
    """The place in words: ``Account.balance``."""

    writes: bool
    value: str | None
    """The value written or read, where that is cheap to tell."""

    is_call: bool = False
    """A call of the system: what it reads and writes is not known."""

    started: int = 1 << 30
    """Tasks that had been started by then, the body counted: those with lower numbers."""

    ended: frozenset[int] = frozenset()
    """Tasks that had ended by then."""

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.function)


@dataclass(frozen=True, slots=True)
class Taking:
    """A lock was taken."""

    task: int
    lock: Hashable
    """Which one, as :class:`Waiting` names it."""

    place: Place
    steps: int
    """How many shared accesses of the run came before."""


@dataclass(frozen=True, slots=True)
class ScheduleTrace:
    """The steps of one run, in order."""

    names: tuple[str, ...]
    """Names of the tasks by number."""

    steps: tuple[Step, ...]
    takings: tuple[Taking, ...] = ()
    """The locks that were taken, in order."""
