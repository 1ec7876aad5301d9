"""What code written in C touches of what it is handed, where no operation tells of it.

Judged by what functions are known to do. One that nobody knows may read and change what it belongs to, and read what it
is given.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import (
    BuiltinFunctionType,
    FunctionType,
    GeneratorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)
from typing import Any, NamedTuple
from weakref import ReferenceType

from pytest_concur.engine.operations import (
    CONTAINERS,
    IMMUTABLE,
    LOCKS,
    MOST_LOOKED_AT,
    PLAIN,
    find_in_class,
    is_a,
)
from pytest_concur.instrument.handed import Form
from pytest_concur.instrument.points import READERS, STATE_QUERIES, WRITING_METHODS


class Touch(NamedTuple):
    """An access that no operation tells of."""

    thing: object
    writes: bool = False
    lasts: bool = False
    """Others may get a turn in the middle of it, since it runs code written in Python, or it goes on later."""


_KEEP_ARGUMENTS = frozenset(
    "append appendleft add insert setdefault put put_nowait isinstance issubclass type id callable object super "
    "partial ref proxy finalize".split()
)
"""Functions and methods that do not look into what they are given."""

_READING_METHODS = frozenset("index count copy keys values items get __len__ __contains__ __iter__ __eq__".split())

_GO_OVER = frozenset("sort min max sum any all set frozenset dict extend update".split())
"""What operations tell of, and what runs code written in Python between its steps, if it is given any."""

_RUN_TEXT = frozenset({"exec", "eval"})
_CHANGE_FIRST = frozenset("setitem delitem iadd iand iconcat imul ior isub ixor".split())
"""Functions of ``operator`` that change their first argument."""

_NEVER_CHANGE = frozenset(
    "re.Pattern re.Match datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone "
    "decimal.Decimal _struct.Struct zoneinfo.ZoneInfo _contextvars.ContextVar builtins.range builtins.slice "
    "builtins.mappingproxy".split()
)
"""Types, by module and name, whose objects stay as they are, or are another one for each task."""

_UNSHARED = (threading.local, GeneratorType, BaseException, ModuleType, type, *IMMUTABLE, *LOCKS)
"""Owners of methods that belong to one task, or of which operations tell."""

_KEEP_STATE = frozenset({"threading", "queue", "concurrent.futures._base"})
"""Modules written in Python whose objects say how things are."""

_UNBOUND = (MethodDescriptorType, WrapperDescriptorType)
_ITERATORS: tuple[Any, ...] = (map, filter, zip, enumerate, reversed, type(iter([])), type(iter({})), type(iter(set())))
_VIEWS: tuple[Any, ...] = (type({}.keys()), type({}.values()), type({}.items()))


def touched(form: Form, told: str, values: tuple[Any, ...]) -> Iterable[Touch]:
    """Return what is touched where something is handed over.

    Args:
        form: How that is done.
        told: The name of the function or method that an operation has told of, if so.
        values: The function and its arguments, or the operands, or the object.
    """
    match form:
        case "call":
            return touched_by_call(values[0], values[1:], told)
        case "starred":
            arguments = values[1] if type(values[1]) in (tuple, list) else values[1:2]
            return touched_by_call(values[0], [*arguments, *values[2:]], told)
        case "names":
            return [Touch(values[0], writes=True, lasts=True)]
        case "takes names":
            return ()
    return touched_by_operator(values, changes=form == "changes")


def touched_by_call(function: Any, arguments: Sequence[Any], told: str) -> Iterator[Touch]:
    """Yield what a call touches.

    Args:
        function: What is called.
        arguments: What it is given.
        told: Its name, if an operation tells what it does to the object that it belongs to, or to its first argument.
    """
    kind = type(function)
    if kind is FunctionType:
        if function in (os.getenv, getattr(os, "getenvb", None)):
            yield Touch(os.environ)
        return  # whose accesses are operations
    if kind is MethodType and type(function.__func__) is FunctionType:
        if not told and function.__name__ in STATE_QUERIES and type(function.__self__).__module__ in _KEEP_STATE:
            yield Touch(function.__self__, function.__name__ in WRITING_METHODS)
        return
    if kind is MethodType or kind is partial:
        inner, given = (function.__func__, ()) if kind is MethodType else (function.func, function.args)
        yield from touched_by_call(inner, (*given, *arguments), "" if kind is partial else told)
        return
    if is_written_in_python(function, kind):
        return
    if issubclass(kind, ReferenceType):
        yield Touch(function)
        return
    name = str(getattr(function, "__name__", ""))
    if function is vars and arguments:
        yield Touch(arguments[0], writes=True, lasts=True)  # what is done to the dictionary, nobody knows
        return
    if name == "print":
        yield Touch(sys.stdout, writes=True)
    if kind in _UNBOUND:
        owner, arguments = (arguments[0], arguments[1:]) if arguments else (None, arguments)
        told = ""
    else:
        owner = function if kind.__module__ == "functools" else getattr(function, "__self__", None)
    runs_python = kind.__module__ == "functools" or any(map(_runs_python, arguments))
    lasts = runs_python and (not told or name in _GO_OVER)
    if (lasts or not told) and not _is_unshared(owner, name):
        yield Touch(owner, name not in _READING_METHODS and (not told or name in WRITING_METHODS), lasts)
    if name in _KEEP_ARGUMENTS or (told in READERS and not lasts):
        return
    for place, argument in enumerate(arguments):
        changes = name in _RUN_TEXT or (not place and name in _CHANGE_FIRST)
        for thing in containers_in(argument):
            yield Touch(thing, changes or is_a(thing, bytearray), lasts)
        if _keeps_attributes(argument):
            yield Touch(argument, changes, lasts)


def touched_by_operator(operands: Sequence[Any], *, changes: bool) -> Iterator[Touch]:
    """Yield what an operator touches of its operands, of which it may change the first."""
    for place, operand in enumerate(operands):
        if type(operand) not in PLAIN:
            for thing in containers_in(operand):
                yield Touch(thing, changes and not place)


def containers_in(value: Any) -> list[object]:
    """Return the containers that are read where a value is read to its depth."""
    found: list[object] = []
    left = [value]
    seen: set[int] = set()
    while left and len(seen) < MOST_LOOKED_AT:
        each = left.pop()
        if type(each) in PLAIN or id(each) in seen:
            continue
        seen.add(id(each))
        if is_a(each, (*CONTAINERS, SimpleNamespace)):
            found.append(each)
        if type(each) is memoryview:
            left.append(each.obj)
        elif is_a(each, (*CONTAINERS, tuple, frozenset, SimpleNamespace)) or type(each) in (*_ITERATORS, *_VIEWS):
            left += gc.get_referents(each)[:MOST_LOOKED_AT]
    return found


def _is_unshared(owner: Any, name: str) -> bool:
    if owner is None or is_a(owner, _UNSHARED) or (name == "__init__" and not is_a(owner, CONTAINERS)):
        return True
    kind = type(owner)
    return f"{kind.__module__}.{kind.__qualname__}" in _NEVER_CHANGE


def is_written_in_python(function: Any, kind: type) -> bool:
    """Whether an object that can be called, or a class, runs code that has points of its own, or is no function."""
    if issubclass(kind, type):
        return issubclass(function, BaseException) or any(
            type(vars(base).get(way)) in (FunctionType, staticmethod)
            for base in function.__mro__
            for way in ("__init__", "__new__")
            if base is not object
        )
    return any(type(vars(base).get("__call__")) is FunctionType for base in kind.__mro__)


def _keeps_attributes(thing: Any) -> bool:
    """Whether it is an object with attributes, which code written in C may read."""
    if is_a(thing, (*_UNSHARED, *CONTAINERS, FunctionType, MethodType, BuiltinFunctionType)):
        return False
    return find_in_class(thing, "__dict__") is not None or find_in_class(thing, "__slots__") is not None


def _runs_python(argument: Any) -> bool:
    """Whether code written in C that is given this may run code written in Python on its way."""
    return type(argument) in (FunctionType, MethodType, GeneratorType, map, filter)
