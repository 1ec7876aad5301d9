"""Where a function that is loaded is called, as far as that is plain to see."""

from __future__ import annotations

from collections.abc import Sequence

from bytecode import Instr, Label

from pytest_concur.instrument import interpreter

MOST_INSTRUCTIONS_OF_A_CALL = 1_000
"""Instructions followed from where a function is loaded to where it is called."""

_OVER = frozenset({"JUMP_FORWARD", "FOR_ITER", "SEND"})
"""Jumps that lead on to the end of an expression."""


def call_of(instructions: Sequence[object], index: int) -> tuple[int, int] | None:
    """Return where a function or a method loaded at ``index`` is called, and how many values lie above it then.

    ``None`` if it is handed on. One way through the arguments is followed: past a condition, over a loop; all ways
    leave the same on the stack.
    """
    place = interpreter.loaded_for_call(instructions, index)
    if place is None:
        return None
    labels: dict[int, int] | None = None
    above = 0  # on the stack, of arguments so far
    for _ in range(MOST_INSTRUCTIONS_OF_A_CALL):
        place += 1
        instr = instructions[place] if place < len(instructions) else None
        if not isinstance(instr, Instr):
            if instr is None:
                return None
            continue
        if interpreter.arguments_of_call(instr) == above:
            previous = instructions[place - 1]
            has_names = isinstance(previous, Instr) and previous.name == "KW_NAMES"
            return place - has_names, above
        jumps = instr.name in _OVER
        taken, given = instr.pre_and_post_stack_effect(jump=jumps)
        if above + taken < 0 or (instr.is_final() and not jumps):
            return None  # something else takes the function
        above += taken + given
        if jumps:
            labels = labels or {id(each): at for at, each in enumerate(instructions) if isinstance(each, Label)}
            place = labels[id(instr.arg)]
    return None
