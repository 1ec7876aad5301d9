"""What is seen of a task in the fair end of a long run: all that may be news, and nobody's code runs for it."""

from __future__ import annotations

import itertools
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from pytest_concur.engine.state import state_of

ROUNDS = 4
"""Rounds looked at; the first one is met at another place, as a loop tests its condition above and below."""


class Slots:
    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class Nested:
    total = 0

    def __init__(self) -> None:
        self.by_name = {"a": [0]}


class Touchy:
    """Whoever asks it anything is in for trouble."""

    touched = 0

    def __getattribute__(self, name: str) -> Any:
        Touchy.touched += 1
        raise RuntimeError(name)

    def __len__(self) -> int:
        Touchy.touched += 1
        return 0

    def __eq__(self, other: object) -> bool:
        Touchy.touched += 1
        return True

    def __hash__(self) -> int:
        Touchy.touched += 1
        return 0

    @property
    def __class__(self) -> type:  # type: ignore[override]
        Touchy.touched += 1
        raise RuntimeError("__class__")


def turn(held: Any, look: Callable[[], bool], change: Callable[[Any], object]) -> None:
    """A task that goes round; ``held`` is what it works on."""
    while look():
        change(held)


def states(held: Any, change: Callable[[Any], object]) -> list[Any]:
    """Return what is seen of a task in each of a few rounds."""
    seen: list[Any] = []

    def look() -> bool:
        seen.append(state_of(sys._getframe(1)))
        return len(seen) < ROUNDS

    looking = threading.Thread(target=turn, args=(held, look, change))  # a stack without pytest's own frames
    looking.start()
    looking.join()
    return seen


CHANGES: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "a slot": (Slots(), lambda held: setattr(held, "number", held.number + 1)),
    "an item deep inside": (Nested(), lambda held: held.by_name["a"].__setitem__(0, held.by_name["a"][0] + 1)),
    "an attribute of a class": (Nested, lambda held: setattr(held, "total", held.total + 1)),
    "a queue's end": (deque([1]), lambda held: held.append(1)),
    "an iterator, of which nothing is seen": (itertools.count(), next),
    "a lock": (threading.Lock(), lambda held: held.release() if held.locked() else held.acquire()),
}


@pytest.mark.parametrize(("held", "change"), CHANGES.values(), ids=CHANGES.keys())
def test_what_changes_is_news(held, change):
    seen = states(held, change)

    assert seen[1] != seen[2] != seen[3]


STAYS: dict[str, Any] = {
    "a number": 1,
    "a number of too many digits to be written": 10**5000,
    "an object": Nested(),
    "a lock": threading.Lock(),
    "an event": threading.Event(),
    "a condition": threading.Condition(),
    "a list of objects": [Slots(), Slots()],
}


@pytest.mark.parametrize("held", STAYS.values(), ids=STAYS.keys())
def test_what_stays_is_no_news(held):
    seen = states(held, lambda held: None)

    assert seen[1] == seen[2] == seen[3]


def test_nobodys_code_runs():
    states([Touchy(), {"a": Touchy()}], lambda held: None)

    assert Touchy.touched == 0
