"""Facts about the CPython versions: instruction names and calling sequences.

Everything here that depends on a version says so once; the rest of the package asks these names.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from bytecode import Instr, Label
from bytecode.instr import CellVar, FreeVar

VERSION = sys.version_info[:2]

METHOD_LOAD_IS_ATTR = VERSION >= (3, 12)
"""``obj.name(...)`` compiles to ``LOAD_ATTR (True, name)``; before that to ``LOAD_METHOD name``."""

NULL_ABOVE_CALLABLE = VERSION >= (3, 13)
"""A call wants the stack ``callable, NULL, args``; before that ``NULL, callable, args``."""

CALLABLE_BELOW_ARGUMENTS = 2 if NULL_ABOVE_CALLABLE else 1
"""How far below the arguments of a call a function lies that was loaded as a value."""

HAS_PRECALL = VERSION == (3, 11)
CALL_BEGINS = "PRECALL" if HAS_PRECALL else "CALL"
"""The first instruction that finds a callable and all its arguments on the stack."""

CELLS_ARE_LOCALS = VERSION >= (3, 13)
"""``LOAD_FAST`` loads what keeps a shared variable; before that ``LOAD_CLOSURE``."""

HAS_MONITORING = VERSION >= (3, 12)
"""``sys.monitoring`` exists (PEP 669)."""

JUMP_IF_NONE = "POP_JUMP_FORWARD_IF_NONE" if VERSION == (3, 11) else "POP_JUMP_IF_NONE"

JUMP_IF = {test: f"POP_JUMP_{'FORWARD_' * (VERSION == (3, 11))}IF_{str(test).upper()}" for test in (True, False)}

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

MAY_CHANGE = frozenset({"LOAD_CONST", "BEFORE_WITH", "LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_SUPER_ATTR"})
"""Instructions that load what may be replaced, or enter it."""

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
    return [load, *callable_from_top()]


def global_name(instr: Instr) -> str | None:
    """Return the name that a ``LOAD_GLOBAL`` loads, else ``None``."""
    return str(instr.arg[1]) if instr.name == "LOAD_GLOBAL" else None  # type: ignore[index]


def is_loaded_to_call(instr: Instr) -> bool:
    """Whether a ``LOAD_GLOBAL`` also pushes what a call wants beside the callable."""
    return bool(instr.arg[0])  # type: ignore[index]


def plain_attribute_load(name: str, location: Any) -> Instr:
    """Load an attribute as a value, bound if it is a method."""
    return Instr("LOAD_ATTR", (False, name) if METHOD_LOAD_IS_ATTR else name, location=location)


def load_cell(variable: CellVar | FreeVar) -> Instr:
    """Push what keeps a variable that functions share, not its value."""
    return Instr("LOAD_FAST" if CELLS_ARE_LOCALS else "LOAD_CLOSURE", variable)


def local_stored(instr: Instr) -> str | None:
    """Return the local variable in which the instruction stores what lies on top of the stack, else ``None``."""
    arg: Any = instr.arg
    if instr.name == "STORE_FAST":
        return str(arg)
    return str(arg[0]) if instr.name in ("STORE_FAST_LOAD_FAST", "STORE_FAST_STORE_FAST") else None


def local_loaded(instr: Instr) -> str | None:
    """Return the local variable whose value the instruction leaves on top of the stack, else ``None``."""
    arg: Any = instr.arg
    if instr.name in ("LOAD_FAST", "LOAD_FAST_CHECK"):
        return arg if isinstance(arg, str) else None  # from 3.13 on it may load what keeps a shared one
    return str(arg[1]) if instr.name in ("LOAD_FAST_LOAD_FAST", "STORE_FAST_LOAD_FAST") else None


def shared_stored(instr: Instr) -> str | None:
    """Return the variable shared with other functions in which the instruction stores a value, else ``None``."""
    arg: Any = instr.arg
    return str(arg.name) if instr.name == "STORE_DEREF" else None


def shared_loaded(instr: Instr) -> str | None:
    """Return the variable shared with other functions whose value the instruction loads, else ``None``."""
    arg: Any = instr.arg
    return str(arg.name) if instr.name == "LOAD_DEREF" else None


def call(function: object) -> list[Instr]:
    """Push the result of ``function()``."""
    load = Instr("LOAD_CONST", function)
    return [*([load, _NULL] if NULL_ABOVE_CALLABLE else [_NULL, load]), *_INVOKE[0]]


def call_on_top(function: object) -> list[Instr]:
    """Replace the top of the stack by ``function(top)``."""
    load = Instr("LOAD_CONST", function)
    # built on top and then swapped below the argument, so that what lies deeper stays untouched
    return [*([_NULL, load] if NULL_ABOVE_CALLABLE else [load, _NULL]), _SWAP_3, *_INVOKE[1]]


def callable_from_top() -> list[Instr]:
    """Turn a value on top of the stack into what a call without ``self`` wants below its arguments."""
    return [_NULL] if NULL_ABOVE_CALLABLE else [_NULL, _SWAP_2]


def loaded_for_call(instructions: Sequence[object], index: int) -> int | None:
    """Return the place behind which a function loaded at ``index`` lies on the stack as a call wants it.

    ``None`` if it is seen at once that it is loaded for something else.
    """
    load = instructions[index]
    assert isinstance(load, Instr), "what loads is an instruction"
    if load.name == "LOAD_GLOBAL":
        return index if is_loaded_to_call(load) else None
    if is_method_load(load) or not NULL_ABOVE_CALLABLE:
        return index  # before 3.13 a NULL may lie below; if there is none, this is no call
    following = instructions[index + 1] if index + 1 < len(instructions) else None
    return index + 1 if isinstance(following, Instr) and following.name == "PUSH_NULL" else None


def arguments_of_call(instr: Instr) -> int | None:
    """Return how many values lie above the function that the instruction calls; ``None`` if it calls none in place."""
    count: Any = instr.arg
    if instr.name == CALL_BEGINS:
        return int(count)
    return int(count) + 1 if instr.name == "CALL_KW" else None  # above them lie the names


def formatted(instr: Instr) -> int | None:
    """Return the place on the stack of what the instruction turns into text, 1 = top; ``None`` if it does not."""
    if instr.name == "FORMAT_VALUE":  # until 3.12
        return 2 if int(instr.arg) & 4 else 1  # type: ignore[arg-type]
    return {"FORMAT_SIMPLE": 1, "CONVERT_VALUE": 1, "FORMAT_WITH_SPEC": 2}.get(instr.name)


def unless_next_is_none(iterator: object, block: list[Instr]) -> list[Instr | Label]:
    """Take the next item of an iterator that never ends; run ``block`` unless it is ``None``.

    ``FOR_ITER`` asks the iterator without a call: from 3.12 on it is specialized for lists. ``block`` must leave the
    stack as it found it; the iterator lies on top meanwhile.
    """
    ended, passed, behind = Label(), Label(), Label()
    return [
        Instr("LOAD_CONST", iterator),
        Instr("FOR_ITER", ended if EXHAUSTED_KEEPS_ITERATOR else behind),
        ended,
        Instr(JUMP_IF_NONE, passed),
        *block,
        passed,
        POP,
        behind,
    ]


def unless_in(places: Sequence[int], function: object, values: object, block: list[Instr]) -> list[Instr | Label]:
    """Run ``block`` unless ``function(each) in values`` for what lies at each of the places on the stack, 1 = top."""
    asked, passed = Label(), Label()
    tests: list[Instr | Label] = []
    for place in places:
        is_last = place == places[-1]
        tests += [Instr("COPY", place), *call_on_top(function), Instr("LOAD_CONST", values), Instr("CONTAINS_OP", 0)]
        tests.append(Instr(JUMP_IF[is_last], passed if is_last else asked))
    return [*tests, asked, *block, passed]


# instructions that many places share; like all that is inserted they take the place in the source of what comes before

POP = Instr("POP_TOP")
_NULL, _SWAP_2, _SWAP_3 = Instr("PUSH_NULL"), Instr("SWAP", 2), Instr("SWAP", 3)
_INVOKE = [
    [*([Instr("PRECALL", count)] if HAS_PRECALL else []), Instr("CALL", count)] for count in (0, 1)
]  # by the number of arguments
