"""Where a CPython with a GIL can let another thread run: the polls of its evaluation loop.

The loop gives the GIL away only where it looks at the request to do so (the "eval breaker"), and where C code releases
it. Both versions of the facts below come from reading the interpreter (Python/ceval.c of 3.11, Python/bytecodes.c and
Python/ceval_gil.c of 3.12 and 3.13) and are compared with the interpreter at hand by an experiment for each kind of
instruction (``tests/unit/test_gil.py``).

=====================================================  ======  ======  ======
it polls                                                 3.11    3.12    3.13
=====================================================  ======  ======  ======
when a Python function starts, after ``yield``            yes     yes     yes
after ``await``                                            no      no      no
when it jumps back unconditionally                        yes     yes     yes
when a test at a loop's end jumps back                    yes       -       -
after a call of anything but a Python function            yes     yes     yes
after ``f(*args)`` of a Python function                   yes      no      no
after ``f(*args)`` of a method written in Python          yes     yes     yes
when ``with`` enters                                       no      no      no
when ``with`` leaves normally                             yes     yes     yes
when ``with`` leaves by an exception                       no      no      no
at accesses, operators, comparisons, imports, raises       no      no      no
=====================================================  ======  ======  ======

Some specialized calls (``len``, ``isinstance``, ``list.append`` …) do not poll once the code is warm; cold code does,
so they count. C code that releases the GIL (locks, ``sleep``, files, sockets) is called, and the call is followed by a
poll: a switch inside it differs from one behind it only for what is outside the process.

A Python function without points of its own, of a library, polls when it starts: that counts as a point before its call.
"""

from __future__ import annotations

from collections.abc import Sequence

from bytecode import Instr

from pytest_concur.instrument import interpreter
from pytest_concur.instrument.point import Point

_CALLS = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX"})
_BEGIN_CALL = _CALLS | {"PRECALL", "KW_NAMES"}


def find_polls(instructions: Sequence[object]) -> dict[int, Point]:
    """Return a point for each poll: index of the instruction -> what kind.

    A ``resume`` point stands behind its instruction, a ``jump`` before it. A ``call`` begins at its instruction, which
    may have companions, and is polled when it has returned, if it polls: ``stack`` tells where the callable lies.
    """
    polls: dict[int, Point] = {}
    begin: int | None = None  # of the call whose instructions are being walked
    for index, instr in enumerate(instructions):
        if not isinstance(instr, Instr):
            continue
        if instr.name in _BEGIN_CALL and begin is None:
            begin = index
        if instr.name in _CALLS and begin is not None:
            point = _call_point(instructions, begin, instr)
            if point is not None:
                polls[begin] = point
            begin = None
        elif instr.name == "RESUME" and isinstance(instr.arg, int) and instr.arg & 3 in interpreter.POLLING_RESUMES:
            polls[index] = Point("resume")
        elif instr.name == "JUMP_BACKWARD" or instr.name in interpreter.BACKWARD_TESTS:
            polls[index] = Point("jump")
    return polls


def ends_call(instr: Instr) -> bool:
    """Whether the instruction is the one that calls, after those that prepare it."""
    return instr.name in _CALLS


def _call_point(instructions: Sequence[object], begin: int, call: Instr) -> Point | None:
    """Return the point of a call: its name says which form, its stack how deep the callable lies when it begins.

    Before 3.13 a call finds either ``NULL, callable`` below its arguments or ``callable, first argument``; the latter
    only where the compiler itself arranges it, since methods are loaded as bound ones here.
    """
    assert isinstance(call.arg, int), "calls have a number of arguments, or flags"
    below = int(interpreter.NULL_ABOVE_CALLABLE)
    if call.name == "CALL_FUNCTION_EX":
        return Point("call", "starred", stack=(2 + below + (call.arg & 1),))
    before = [each for each in instructions[max(0, begin - 6) : begin] if isinstance(each, Instr)]
    if call.arg == 0 and before and before[-1].name in ("GET_ITER", "GET_AITER"):
        return None  # a comprehension: a function
    if call.arg == 2 and len(before) > 2 and all(_is_none(each) for each in before[-3:]):
        return Point("call", "exit", stack=(4,))
    return Point("call", stack=(call.arg + 1 + below + (call.name == "CALL_KW"),))


def _is_none(instr: Instr) -> bool:
    return instr.name == "LOAD_CONST" and instr.arg is None
