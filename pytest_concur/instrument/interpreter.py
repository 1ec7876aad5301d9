"""Facts about the CPython versions: instruction names and calling sequences.

Everything here that depends on a version says so once; the rest of the package asks these names.
"""

from __future__ import annotations

import sys
from typing import Any

from bytecode import Instr, Label

VERSION = sys.version_info[:2]

METHOD_LOAD_IS_ATTR = VERSION >= (3, 12)
"""``obj.name(...)`` compiles to ``LOAD_ATTR (True, name)``; before that to ``LOAD_METHOD name``."""

NULL_ABOVE_CALLABLE = VERSION >= (3, 13)
"""A call wants the stack ``callable, NULL, args``; before that ``NULL, callable, args``."""

HAS_PRECALL = VERSION == (3, 11)
CALL_BEGINS = "PRECALL" if HAS_PRECALL else "CALL"
"""The first instruction that finds a callable and all its arguments on the stack."""

HAS_MONITORING = VERSION >= (3, 12)
"""``sys.monitoring`` exists (PEP 669)."""

JUMP_IF_NONE = "POP_JUMP_FORWARD_IF_NONE" if VERSION == (3, 11) else "POP_JUMP_IF_NONE"

EXHAUSTED_KEEPS_ITERATOR = VERSION >= (3, 12)
"""Where ``FOR_ITER`` jumps to, the stack is as if it had gone on; before that the iterator is already popped."""

POLLING_RESUMES = (0, 1)
"""``RESUME`` polls for a request to drop the GIL at a function's start and after ``yield``, not after ``await``
(Python/ceval.c, bytecodes.c: ``oparg < 2``; from 3.13 on higher bits are flags)."""

BACKWARD_TESTS = {
    f"POP_JUMP_BACKWARD_IF_{test}": f"POP_JUMP_FORWARD_IF_{opposite}"
    for test, opposite in [("TRUE", "FALSE"), ("FALSE", "TRUE"), ("NONE", "NOT_NONE"), ("NOT_NONE", "NONE")]
}
"""Tests that jump back and poll if they do, and the opposite test. Only 3.11 has them."""

INLINES_STARRED_CALLS = VERSION >= (3, 12)
"""``f(*args)`` of a Python function continues in the same evaluation loop, without a poll at its end."""

TRUTH_TESTS = frozenset(
    {"UNARY_NOT", "TO_BOOL", "JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"}
    | {f"POP_JUMP_{way}IF_{value}" for way in ("", "FORWARD_", "BACKWARD_") for value in ("TRUE", "FALSE")}
)


def attribute_name(instr: Instr) -> str | None:
    """Return the name that a ``LOAD_ATTR`` or ``LOAD_METHOD`` loads, else ``None``."""
    if instr.name == "LOAD_METHOD":
        return str(instr.arg)
    if instr.name == "LOAD_ATTR":
        return str(instr.arg[1] if METHOD_LOAD_IS_ATTR else instr.arg)  # type: ignore[index]
    return None


def is_method_load(instr: Instr) -> bool:
    """Whether the instruction loads an attribute only to call it at once."""
    return instr.name == "LOAD_METHOD" or bool(METHOD_LOAD_IS_ATTR and instr.name == "LOAD_ATTR" and instr.arg[0])  # type: ignore[index]


def as_attribute_load(instr: Instr) -> list[Instr] | None:
    """Return what loads a method as a bound one, if the instruction would load it in two parts, else ``None``."""
    if is_method_load(instr):
        load = plain_attribute_load(attribute_name(instr) or "", instr.location)
    elif instr.name == "LOAD_SUPER_ATTR" and instr.arg[0]:  # type: ignore[index]
        load = Instr("LOAD_SUPER_ATTR", (False, *instr.arg[1:]), location=instr.location)  # type: ignore[index]
    else:
        return None
    return [load, *callable_from_top(instr.location)]


def global_name(instr: Instr) -> str | None:
    """Return the name that a ``LOAD_GLOBAL`` loads, else ``None``."""
    return str(instr.arg[1]) if instr.name == "LOAD_GLOBAL" else None  # type: ignore[index]


def is_loaded_to_call(instr: Instr) -> bool:
    """Whether a ``LOAD_GLOBAL`` also pushes what a call wants beside the callable."""
    return bool(instr.arg[0])  # type: ignore[index]


def plain_attribute_load(name: str, location: Any) -> Instr:
    """Load an attribute as a value, bound if it is a method."""
    return Instr("LOAD_ATTR", (False, name) if METHOD_LOAD_IS_ATTR else name, location=location)


def call(function: object, location: Any) -> list[Instr]:
    """Push the result of ``function()``."""
    load, null = Instr("LOAD_CONST", function, location=location), Instr("PUSH_NULL", location=location)
    return [*([load, null] if NULL_ABOVE_CALLABLE else [null, load]), *_invoke(0, location)]


def call_on_top(function: object, location: Any) -> list[Instr]:
    """Replace the top of the stack by ``function(top)``."""
    load, null = Instr("LOAD_CONST", function, location=location), Instr("PUSH_NULL", location=location)
    # built on top and then swapped below the argument, so that what lies deeper stays untouched
    pushes = [null, load] if NULL_ABOVE_CALLABLE else [load, null]
    return [*pushes, Instr("SWAP", 3, location=location), *_invoke(1, location)]


def callable_from_top(location: Any) -> list[Instr]:
    """Turn a value on top of the stack into what a call without ``self`` wants below its arguments."""
    null = Instr("PUSH_NULL", location=location)
    return [null] if NULL_ABOVE_CALLABLE else [null, Instr("SWAP", 2, location=location)]


def unless_next_is_none(iterator: object, block: list[Instr], location: Any) -> list[Instr | Label]:
    """Take the next item of an iterator that never ends; run ``block`` unless it is ``None``.

    ``FOR_ITER`` asks the iterator without a call: from 3.12 on it is specialized for lists. ``block`` must leave the
    stack as it found it; the iterator lies on top meanwhile.
    """
    ended, passed, behind = Label(), Label(), Label()
    return [
        Instr("LOAD_CONST", iterator, location=location),
        Instr("FOR_ITER", ended if EXHAUSTED_KEEPS_ITERATOR else behind, location=location),
        ended,
        Instr(JUMP_IF_NONE, passed, location=location),
        *block,
        passed,
        Instr("POP_TOP", location=location),
        behind,
    ]


def _invoke(count: int, location: Any) -> list[Instr]:
    invoke = Instr("CALL", count, location=location)
    return [Instr("PRECALL", count, location=location), invoke] if HAS_PRECALL else [invoke]
