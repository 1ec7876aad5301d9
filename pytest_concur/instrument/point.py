"""A scheduling point, as it is found in the instructions of a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "attribute",
    "item",
    "global",
    "cell",
    "iterate",
    "method",
    "bound",
    "test",
    "builtin",
    "system",
    "resume",
    "jump",
    "call",
]


@dataclass(frozen=True, slots=True)
class Point:
    """What the instruction behind a scheduling point is about to do."""

    kind: Kind
    name: str = ""
    """Attribute, global, variable or method; empty for items, iteration and tests."""

    writes: bool = False
    stack: tuple[int, ...] = ()
    """Places on the stack, 1 = top, of the object accessed, then of the key if there is one, then of the new value."""

    calls_system: bool = False
    """There is one more point before a ``call``: what is called lets the GIL go, and then touches files or the like."""

    loaded_at: int | None = None
    """Of a ``bound`` method, which is met where it is called: the instruction that loads it."""

    cell: Any = None
    """The variable of an enclosing function: what keeps it is told before what lies on the stack."""

    called_at: int | None = None
    """Of what is called: where the call begins, if that is plain to see."""
