"""Tell from a scheduling point, and from what lies on the stack there, which operation comes next."""

from __future__ import annotations

import _thread
import gc
import threading
from collections import deque
from collections.abc import Callable
from types import FunctionType, GeneratorType
from typing import Any

from pytest_concur.model.operation import UNKNOWN, Operation

CONTAINERS = (list, dict, set, deque, bytearray)
IMMUTABLE = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset)
LOCKS = (_thread.LockType, _thread.RLock)
PLAIN = frozenset({int, float, complex, str, bytes, bool, type(None), range})
"""Types of values that are all there is to them."""

ANYTHING = Operation("builtin", None)
"""C code reads nobody knows what."""

SHALLOW = frozenset("len list tuple iter reversed enumerate".split())
"""Built-in functions that look at a container and not into what it contains."""

MOST_LOOKED_AT = 100
"""Elements of a container that are looked at to see whether anything lies behind them."""

MOST_BEHIND = 20
"""Objects looked at in search of what an iterator goes over."""


def is_a(thing: object, kinds: type | tuple[type, ...]) -> bool:
    """``isinstance`` that runs nobody's code: objects may have ways of their own to say what their ``__class__`` is."""
    return issubclass(type(thing), kinds)


def operation_teller(
    placeholder: tuple[Any, ...],
) -> Callable[[Callable[[object], int], tuple[Any, ...]], Operation]:
    """Return a function that tells the operation of one point, named as the rewritten code names it.

    The function takes another one, which numbers an object and keeps it alive while the run lasts, and what the stack
    held: the object touched, then the key if there is one, then the new value.
    """
    _, _, kind, name, writes, site = placeholder
    if kind in ("global", "cell"):
        place = kind, site[0].rsplit(":", 2)[0], name
        always = Operation(kind, place, None, writes, place)
        return lambda number_of, values: always
    if kind == "builtin":
        return _teller_of_builtin(name, writes)
    if kind in ("resume", "jump"):
        return lambda number_of, values: UNKNOWN
    if kind == "attribute":

        def tell_attribute(number_of: Callable[[object], int], values: tuple[Any, ...]) -> Operation:
            owner = values[0]
            if is_a(owner, threading.local):
                return UNKNOWN  # each thread has its own
            if writes and len(values) > 1 and is_a(values[1], LOCKS):
                number_of(values[1])  # here, where its owner is made, its number is the same in more runs than later
            return Operation(kind, number_of(owner), name, writes, (type(owner), name))

        return tell_attribute

    def tell(number_of: Callable[[object], int], values: tuple[Any, ...]) -> Operation:
        owner = values[0]
        if kind == "iterate":
            behind = containers_behind(owner)
            if behind is None or len(behind) > 1:
                return ANYTHING
            if not behind:  # a generator, say: a step changes it
                number = number_of(owner)
                return Operation(kind, number, None, True, (type(owner), number))
            owner = behind[0]
        elif is_a(owner, IMMUTABLE):
            return UNKNOWN
        number = number_of(owner)
        key = values[1] if kind == "item" and len(values) > 1 and isinstance(values[1], int | str | bytes) else None
        return Operation(kind, number, key, writes, (type(owner), number))

    return tell


def containers_behind(iterator: object) -> list[object] | None:
    """Return the containers that a step of an iterator reads in C code; ``None`` if they are too many to tell.

    Python code, such as a generator's, has points of its own.
    """
    found: list[object] = []
    left = [iterator]
    for _ in range(MOST_BEHIND):
        if not left:
            return found
        looked_at = left.pop()
        if type(looked_at) is GeneratorType or type(getattr(type(looked_at), "__next__", None)) is FunctionType:
            continue
        for each in gc.get_referents(looked_at):
            if is_a(each, CONTAINERS):
                found.append(each)
            elif type(each) is tuple or hasattr(type(each), "__next__"):  # ``zip`` keeps its iterators in a tuple
                left.append(each)
    return None


def _teller_of_builtin(name: str, writes: bool) -> Callable[[Callable[[object], int], tuple[Any, ...]], Operation]:
    anything = Operation("builtin", None, None, writes)

    def tell_builtin(number_of: Callable[[object], int], values: tuple[Any, ...]) -> Operation:
        if not values:
            return anything
        owner = values[0]
        kind = type(owner)
        if kind in PLAIN:
            return UNKNOWN
        if kind in CONTAINERS and (name in SHALLOW or _has_plain_elements(owner)):
            number = number_of(owner)
            return Operation("method", number, None, writes, (kind, number))
        return anything

    return tell_builtin


def _has_plain_elements(container: Any) -> bool:
    """Whether there is nothing behind the elements that C code might read, too."""
    if len(container) > MOST_LOOKED_AT:
        return False
    values = container.values() if type(container) is dict else ()
    return all(type(each) in PLAIN for each in container) and all(type(each) in PLAIN for each in values)
