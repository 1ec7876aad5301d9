"""Tasks that wait: for each other in a cycle, or for a signal that will never come."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A line that a task stood at."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits, as it stood when its run got stuck."""

    task: str
    what: str
    """What it waits for, in words."""

    holder: str | None
    """The one task that must act before it can go on; ``None`` if it waits for an event that anybody might cause."""

    place: Place
    taken_at: Place | None
    """Where the holder took what this task waits for, if that is known."""

    awaited: Hashable = None
    """What it waits for, told apart from others of that run."""

    @property
    def is_for_an_end(self) -> bool:
        """Whether it waits for other tasks to end."""
        return self.what.startswith("the end of")


def has_cycle(waiting: Sequence[Waiting]) -> bool:
    """Whether some of these tasks wait for each other, or one for itself."""
    return bool(cycle_in(waiting))


def cycle_in(waiting: Sequence[Waiting]) -> list[Waiting]:
    """Return tasks each of which waits for what the next one holds, the last one for the first; empty if none do."""
    by_task = {each.task: each for each in waiting}
    for start in waiting:
        path: list[Waiting] = []
        each: Waiting | None = start
        while each is not None and each not in path:
            path.append(each)
            each = by_task.get(each.holder) if each.holder else None
        if each is not None:
            return path[path.index(each) :]
    return []


def describe_stuck(waiting: Sequence[Waiting]) -> tuple[str, tuple[Any, ...]]:
    """Return one line for a deadlock, and its signature: equal for two runs that show the same deadlock."""
    if cycle := cycle_in(waiting):
        signature = ("deadlock", tuple(sorted((each.place.function, each.place.line) for each in cycle)))
        if len(cycle) == 1:
            one = cycle[0]
            return f"deadlock: {one.task} waits for {one.what}, which it holds itself, at {one.place}", signature
        parts = "; ".join(f"{each.task} waits for {each.what}{_held(each)} at {each.place}" for each in cycle)
        return f"deadlock: {len(cycle)} tasks wait for each other: {parts}", signature
    roots = [each for each in waiting if each.holder is None] or list(waiting)
    words = {True: "for", False: "in"}
    parts = "; ".join(
        f"{each.task}, which waits {words[each.is_for_an_end]} {each.what} at {each.place}" for each in roots
    )
    signature = ("deadlock", tuple(sorted((each.place.function, each.place.line) for each in roots)))
    return f"deadlock: nobody is left to wake {parts}", signature


def _held(waiting: Waiting) -> str:
    return "" if waiting.is_for_an_end else f" held by {waiting.holder}"


def stuck_lines(waiting: Sequence[Waiting]) -> list[str]:
    """Return a line for each waiting task: what it waits for and where, who holds it and where that was taken."""
    lines = []
    for each in waiting:
        line = f"{each.task} waits for {each.what} at {each.place} in {each.place.function}"
        if each.holder is not None and not each.is_for_an_end:
            taken = f", taken at {each.taken_at}" if each.taken_at is not None else ""
            line += f"; held by {each.holder}{taken}"
        lines.append(line)
    return lines
