"""Where a task stands, and what lies behind its variables: equal for two looks if nothing has changed.

Nobody's code runs for it: a look at an object by its own ways might come to scheduling points, or change something.
"""

from __future__ import annotations

import _queue
import _thread
import dis
import struct
import sys
import types
from collections import deque
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any
from weakref import ReferenceType

from pytest_concur.engine.frames import is_ours

MOST_VALUES = 400
"""Objects behind the variables of a task that are looked at."""

MOST_ITEMS = 4_000
"""And what they hold."""

_PLAIN = frozenset({int, float, complex, str, bytes, bool, type(None), range, type(...)})
_CONTAINERS = frozenset({list, tuple, set, frozenset, dict, deque, bytearray})
_WITHOUT_STATE = frozenset({
    types.FunctionType, types.BuiltinFunctionType, types.MethodWrapperType, types.ModuleType, types.CodeType,
    types.GetSetDescriptorType, types.MemberDescriptorType, property, _thread.RLock, ReferenceType,
    getattr(_thread, "_ThreadHandle", _thread.RLock),
})  # fmt: skip
_POINTER = struct.calcsize("P")
_HEAP_TYPE, _IMMUTABLE_TYPE = 1 << 9, 1 << 8
"""Bits of ``__flags__`` (Include/object.h): a class that was made while Python runs; one that cannot be changed."""

_NOT_THE_PROGRAMS = frozenset({"pytest_concur", "_pytest", "pluggy", "_io"})


def state_of(frame: types.FrameType | None) -> Any:
    """Return where a stack stands and what its variables hold; what equals nothing else if that cannot be seen."""
    state: list[Any] = []
    values: list[Any] = []
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    while frame is not None and not is_ours(frame):
        if _is_iterating(frame):
            return object()  # how far the iterator has come cannot be seen: always news
        known = frame.f_globals
        if str(known.get("__name__")).partition(".")[0] not in sys.stdlib_module_names:
            values += frame.f_locals.values()
            values += (known[name] for name in frame.f_code.co_names if name in known)
        state.append((id(frame.f_code), frame.f_lasti))
        frame = frame.f_back
    try:
        told = _told(values)
    except Exception:
        told = None  # the program may not get to feel that somebody looks
    return object() if told is None else (tuple(state), told)


def _told(values: Sequence[Any]) -> tuple[Any, ...] | None:
    """Return what lies behind some values; ``None`` if something is not understood, or there is too much.

    It is read without running anybody's code.
    """
    told: list[Any] = []
    met: set[int] = set()
    left = list(values)
    while left:
        value = left.pop()
        kind = type(value)
        if kind in _PLAIN:
            told.append((kind, value))
            continue
        told.append((kind, id(value)))
        package = str(type.__getattribute__(kind, "__module__")).partition(".")[0]
        if id(value) in met or kind in _WITHOUT_STATE or package in _NOT_THE_PROGRAMS:
            continue
        met.add(id(value))
        inside = _inside(value, kind)
        if inside is None or len(met) > MOST_VALUES or len(left) + len(inside) > MOST_ITEMS:
            return None
        left += inside
    return tuple(told)


def _inside(value: Any, kind: type) -> Sequence[Any] | None:
    """Return what an object holds, ``None`` if that cannot be told."""
    if kind in (list, tuple, set, frozenset, deque):
        return list(value)
    if kind is dict:
        return [each for pair in value.items() for each in pair]
    if kind is bytearray:
        return [bytes(value)]
    if kind is _thread.LockType:
        return [value.locked()]
    if kind is _queue.SimpleQueue:
        return [value.qsize()]
    if kind is types.CellType:
        return [] if value == types.CellType() else [value.cell_contents]
    if kind is types.MethodType:
        return [value.__self__]
    if issubclass(kind, type):
        attributes = type.__getattribute__(value, "__dict__")
        return [each for each in attributes.values() if type(each) in _PLAIN or type(each) in _CONTAINERS]
    return _attributes(value, kind)


def _attributes(value: Any, kind: type) -> Sequence[Any] | None:
    """Return the values of an object's attributes and slots; ``None`` for an object of a class written in C."""
    found: list[Any] = []
    for base in kind.__mro__[:-1]:
        descriptors = type.__getattribute__(base, "__dict__")
        namespace = descriptors.get("__dict__")
        if type(namespace) is types.GetSetDescriptorType:
            found += namespace.__get__(value).values()
        slots = [each for each in descriptors.values() if type(each) is types.MemberDescriptorType]
        if not _is_written_in_python(base, len(slots)):
            return None
        for slot in slots:
            try:
                found.append(slot.__get__(value))
            except AttributeError:
                found.append(None)
    return found


def _is_written_in_python(kind: type, slots: int) -> bool:
    """Whether a class adds nothing to the one that it is made of but attributes, slots and weak references."""
    assert kind.__base__ is not None, "it is not object"
    added = kind.__basicsize__ - kind.__base__.__basicsize__ - _POINTER * slots
    return bool(kind.__flags__ & _HEAP_TYPE) and not kind.__flags__ & _IMMUTABLE_TYPE and added <= 2 * _POINTER


def _is_iterating(frame: types.FrameType) -> bool:
    """Whether the frame stands inside a ``for`` loop."""
    return any(start <= frame.f_lasti < end for start, end in _for_loops(frame.f_code))


@cache
def _for_loops(code: types.CodeType) -> tuple[tuple[int, int], ...]:
    # a scheduling point asks its countdown by the same instruction, with the iterator as a constant
    pairs = pairwise(dis.get_instructions(code))
    return tuple((b.offset, b.argval) for a, b in pairs if b.opname == "FOR_ITER" and a.opname != "LOAD_CONST")
