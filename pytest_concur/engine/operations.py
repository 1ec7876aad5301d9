"""Tell from a scheduling point, and from what lies on the stack there, which operation comes next."""

from __future__ import annotations

import gc
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from pytest_concur.model.operation import UNKNOWN, Operation

CONTAINERS = (list, dict, set, deque, bytearray)
IMMUTABLE = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset)


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
        anything = Operation(kind, None, None, writes)
        return lambda number_of, values: anything
    if kind in ("resume", "jump"):
        return lambda number_of, values: UNKNOWN
    if kind == "attribute":

        def tell_attribute(number_of: Callable[[object], int], values: tuple[Any, ...]) -> Operation:
            owner = values[0]
            if is_a(owner, threading.local):
                return UNKNOWN  # each thread has its own
            return Operation(kind, number_of(owner), name, writes, (type(owner), name))

        return tell_attribute

    def tell(number_of: Callable[[object], int], values: tuple[Any, ...]) -> Operation:
        owner = values[0]
        if kind == "iterate":
            container = next((each for each in gc.get_referents(owner) if is_a(each, CONTAINERS)), None)
            if container is None:  # a generator, say: a step changes it
                number = number_of(owner)
                return Operation(kind, number, None, True, (type(owner), number))
            owner = container
        elif is_a(owner, IMMUTABLE):
            return UNKNOWN
        number = number_of(owner)
        key = values[1] if kind == "item" and len(values) > 1 and isinstance(values[1], int | str | bytes) else None
        return Operation(kind, number, key, writes, (type(owner), number))

    return tell
