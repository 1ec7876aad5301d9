"""Where code written in C may be handed what tasks share, although no scheduling point tells of it.

``",".join(shared)``, ``f"{shared}"``, ``shared + other`` and ``cached(key)`` read, and some write. A search that does
not know what must not be called complete.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from bytecode import BinaryOp, Instr

from pytest_concur.instrument import interpreter
from pytest_concur.instrument.gil import find_polls
from pytest_concur.instrument.point import Point
from pytest_concur.instrument.points import TAKE_APART
from pytest_concur.instrument.variables import IN_PLACE, WITH_ANYTHING, Variables

_MADE_HERE = ("LOAD_CONST", "BUILD_TUPLE")
"""Instructions that leave what nobody else has."""

Form = Literal["call", "starred", "reads", "changes", "names", "takes names"]
"""How C code gets at it: by a call, by one with ``*``, by an operator that reads its operands or changes the first, by
``obj.__dict__``, or by an assignment to that."""


@dataclass(frozen=True, slots=True)
class Handed:
    """What is handed over at an instruction."""

    form: Form
    stack: tuple[int, ...]
    """Places on the stack, 1 = top; of a call the function first."""

    unless_plain: tuple[int, ...] = ()
    """Places on the stack: if what lies there is numbers or words, nothing is touched."""

    point: str = ""
    """The function or method that the point of the same call tells of, if there is one."""


def find_handed(
    instructions: Sequence[object], points: dict[int, Point], parameters: Collection[str] = ()
) -> dict[int, Handed]:
    """Return where C code may be handed something: index of the instruction, before which it lies on the stack -> what.

    Args:
        instructions: Those of a function. Methods are taken to be loaded as bound ones.
        points: Its scheduling points.
        parameters: Names of the function's.
    """
    told = {point.called_at: point.name for point in points.values() if point.called_at is not None}
    found: dict[int, Handed] = {}
    for begin, call in find_polls(instructions).items():
        if call.kind == "call" and call.name != "exit":
            found[begin] = _call(instructions[begin], call, told.get(begin, ""))
    variables = Variables(instructions, parameters)
    for index, instr in enumerate(instructions):
        if isinstance(instr, Instr):
            previous = getattr(instructions[index - 1], "name", "") if index else ""
            if (handed := _operation(index, instr, previous, variables)) is not None:
                found[index] = handed
            elif instr.name in TAKE_APART and index not in points and previous not in _MADE_HERE:
                found[index] = Handed("reads", (1,), (1,))
    return found


def _call(begin: object, call: Point, told: str) -> Handed:
    (function,) = call.stack
    if call.name == "starred":
        return Handed("starred", (function, *range(function - 1 - interpreter.NULL_ABOVE_CALLABLE, 0, -1)))
    has_names_on_top = isinstance(begin, Instr) and begin.name == "CALL_KW"
    first = function - interpreter.CALLABLE_BELOW_ARGUMENTS
    return Handed("call", (function, *range(first, int(has_names_on_top), -1)), point=told)


def _operation(index: int, instr: Instr, previous: str, variables: Variables) -> Handed | None:
    name = instr.name
    if name == "STORE_SLICE":
        return Handed("reads", (4,), (4,))
    if name == "STORE_SUBSCR" and previous == "BUILD_SLICE":
        return Handed("reads", (3,), (3,))
    if name == "CONTAINS_OP":  # what is looked for is compared with what is there
        return Handed("reads", (1, 2), (2,))
    if name == "BINARY_OP":
        operator = BinaryOp(instr.arg)  # type: ignore[arg-type]
        if variables.is_plain(index):
            return None
        if operator in WITH_ANYTHING:
            both = (2,) if variables.is_plain_before(index) else (2, 1)
            return Handed("changes" if operator in IN_PLACE else "reads", (2, 1), both)
        return Handed("changes", (2, 1), (2,)) if operator in IN_PLACE else Handed("reads", (2, 1), (1,))
    if name == "COMPARE_OP":
        return None if variables.is_plain_before(index) else Handed("reads", (2, 1), (1,))
    if (place := interpreter.formatted(instr)) is not None:
        return None if place == 1 and variables.is_plain_before(index) else Handed("reads", (place,), (place,))
    if name == "STORE_ATTR" and instr.arg == "__dict__":
        return Handed("takes names", (1,))
    return Handed("names", (1,)) if interpreter.attribute_name(instr) == "__dict__" else None
