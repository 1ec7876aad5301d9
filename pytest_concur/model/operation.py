"""What a task will do when it goes on: the only thing a strategy knows about the program."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple


class Operation(NamedTuple):
    """The next visible step of a task."""

    kind: str
    """``attribute``, ``item``, ``lock`` …; for people."""

    resource: Hashable
    """Number of the object it touches, in order of first touch in this run, or name of a variable; ``None`` if that is
    not known."""

    part: Hashable = None
    """Attribute or key; ``None``: the object as a whole."""

    writes: bool = False
    family: Hashable = None
    """Names what it touches across runs: type and number, or type and attribute, with the number where that is the same
    in all runs."""

    def conflicts_with(self, other: Operation) -> bool:
        """Whether the order of the two matters: same place, and one of them writes."""
        return (
            self.resource is not None
            and self.resource == other.resource
            and (self.writes or other.writes)
            and (self.part == other.part or self.part is None or other.part is None)
        )


UNKNOWN = Operation("unknown", None)
"""A start, the end of a wait, or a step whose place cannot be told."""
