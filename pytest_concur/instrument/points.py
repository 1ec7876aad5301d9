"""Which instructions get a scheduling point, and what they access.

Shared accesses are attributes, items, globals, variables of enclosing functions, steps of iteration, calls of methods
that read or change a built-in container, and truth tests of variables (a container may be behind). Local variables are
nobody else's and never count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from bytecode import Instr, Label

from pytest_concur.instrument import interpreter
from pytest_concur.instrument.gil import find_polls
from pytest_concur.instrument.point import Point
from pytest_concur.instrument.written import WrittenNames

Granularity = Literal["access", "gil", "sync"]

Position = tuple[int | None, int | None, int | None, int | None]
"""A place in the source: first and last line, first and last column."""

CONTAINER_METHODS = frozenset(
    name
    for kind in (list, dict, set, bytearray)
    for name in dir(kind)
    if not name.startswith("_") and name not in {"index", "count", "decode", "split", "join", "strip", "format"}
) | {"appendleft", "popleft", "extendleft", "rotate", "move_to_end", "popitem", "most_common", "subtract", "elements"}
"""Methods of mutable built-in containers and of those in ``collections``."""

STATE_QUERIES = frozenset(
    "locked is_set is_alive is_done empty full qsize done running cancelled notify notify_all send throw __next__ "
    "heappush heappop heapify heapreplace heappushpop insort insort_left insort_right".split()
)
"""Methods and functions that look at, or change, what another task may change, outside the user's code."""

READERS = frozenset(
    "len next iter list tuple set dict frozenset sorted sum min max any all reversed enumerate zip map filter vars "
    "getattr setattr delattr hasattr heappush heappop heapify heapreplace heappushpop insort insort_left "
    "insort_right".split()
)
"""Built-in functions that read, or change, the object they are given."""

WRITING_METHODS = frozenset(
    "append appendleft extend extendleft insert remove pop popleft popitem clear sort reverse rotate update setdefault "
    "add discard difference_update intersection_update symmetric_difference_update move_to_end send notify notify_all "
    "subtract heappush heappop heapify setattr delattr next".split()
)

ARGUMENT = ".0"
"""What the compiler calls the iterator that a generator expression is given: a variable holds it, and nobody else."""

SYSTEM = Point("system", "the system", True)

_MAY_CALL = frozenset({
    interpreter.CALL_BEGINS, "CALL_KW", "CALL_FUNCTION_EX", "BEFORE_WITH", "FOR_ITER", "LOAD_ATTR", "STORE_ATTR",
    "BINARY_SUBSCR", "STORE_SUBSCR", "DELETE_SUBSCR", "CONTAINS_OP",
})  # fmt: skip
"""Instructions that may lead to a function written in C, by whatever way."""

_UPDATES = frozenset({"LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE"})
_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_ATTR", "BINARY_SUBSCR"})


def find_points(
    instructions: Sequence[object],
    granularity: Granularity,
    written: WrittenNames,
    *,
    is_generator: bool,
    calling: Collection[Position] = (),
) -> dict[int, Point]:
    """Return the points of a function: index of the instruction -> what it does there.

    A ``resume`` point stands behind its instruction, all others before it; for ``call`` see :mod:`.gil`.

    Args:
        instructions: Those of the function.
        granularity: Where switches are wanted.
        written: Names that some code writes.
        is_generator: The function is one.
        calling: Places in the source that were seen to call the system.
    """
    if granularity == "sync":
        return {}
    if granularity == "gil":
        polls = find_polls(instructions)
        system = _points_of_the_system(instructions, calling) if calling else {}
        return polls | {place: replace(polls.get(place, SYSTEM), calls_system=True) for place in system}
    points: dict[int, Point] = {}
    previous: Instr | None = None
    for index, instr in enumerate(instructions):
        if not isinstance(instr, Instr):
            continue
        point = _access(instr, previous, written, is_generator)
        if point is not None and point.kind == "iterate" and _iterates_range(instructions, index):
            point = None
        if point is not None and point.kind == "builtin" and (called := _call_of(instructions, index)) is not None:
            place, arguments = called
            points[place] = replace(point, stack=tuple(range(arguments, max(arguments - 2, 0), -1)))
        elif point is not None:
            points[index] = point
        if instr.name != "COPY":  # ``a and b`` tests a copy of what was loaded
            previous = instr
    points |= _points_of_bare_loops(instructions, points)
    return _points_of_the_system(instructions, calling) | points if calling else points


def _points_of_bare_loops(instructions: Sequence[object], points: dict[int, Point]) -> dict[int, Point]:
    """Return a point for each ``while`` loop that has none: what it calls may wait for another task."""
    found: dict[int, Point] = {}
    for start, end in _loops(instructions):
        head = next(each for each in instructions[start : end + 1] if isinstance(each, Instr))
        if head.name == "FOR_ITER":
            continue
        if not any(start < index < end for index in (*points, *found)):
            found[end] = Point("jump")
    return found


def _points_of_the_system(instructions: Sequence[object], calling: Collection[Position]) -> dict[int, Point]:
    found: dict[int, Point] = {}
    previous = ""
    for index, instr in enumerate(instructions):
        if isinstance(instr, Instr):
            if instr.name in _MAY_CALL and position_of(instr.location) in calling:
                found[index - (previous == "KW_NAMES")] = SYSTEM  # which must stay beside its call
            previous = instr.name
    return found


def position_of(location: Any) -> Position:
    """Return where an instruction stands in the source, as ``code.co_positions()`` tells it."""
    if location is None:
        return None, None, None, None
    return location.lineno, location.end_lineno, location.col_offset, location.end_col_offset


def _loops(instructions: Sequence[object]) -> Iterator[tuple[int, int]]:
    """Yield for each backward jump where it goes to and where it stands."""
    labels = {id(each): index for index, each in enumerate(instructions) if isinstance(each, Label)}
    for end, instr in enumerate(instructions):
        start = labels.get(id(getattr(instr, "arg", None)), end)
        if start < end:
            yield start, end


def loop_guards(instructions: Sequence[object], points: dict[int, Point], muted: set[int]) -> set[int]:
    """Return muted points to keep all the same, one in each loop that would have none left: it may be a spin loop."""
    guards: set[int] = set()
    for start, end in _loops(instructions):
        inside = [index for index in points if start < index <= end]
        if inside and all(index in muted and index not in guards for index in inside):
            guards.add(inside[0])
    return guards


def _access(instr: Instr, previous: Instr | None, written: WrittenNames, is_generator: bool) -> Point | None:
    name = instr.name
    if (attribute := interpreter.attribute_name(instr)) is not None:
        return _attribute_load(attribute, instr, written)
    if (variable := interpreter.global_name(instr)) is not None:
        if variable in READERS:
            return Point("builtin", variable, variable in WRITING_METHODS)
        return Point("global", variable) if variable in written.globals else None
    match name:
        case "STORE_ATTR":
            return Point("attribute", str(instr.arg), True, (1, 2))
        case "DELETE_ATTR":
            return Point("attribute", str(instr.arg), True, (1,))
        case "STORE_GLOBAL" | "DELETE_GLOBAL":
            return Point("global", str(instr.arg), True, (1,) if name == "STORE_GLOBAL" else ())
        case "BINARY_SUBSCR" | "BINARY_SLICE" | "DELETE_SUBSCR":
            depth = 3 if name == "BINARY_SLICE" else 2
            return Point("item", "", name == "DELETE_SUBSCR", (depth, depth - 1))
        case "STORE_SUBSCR":
            return Point("item", "", True, (2, 1, 3))
        case "STORE_SLICE":
            return Point("item", "", True, (3, 2, 4))
        case "CONTAINS_OP":
            return Point("item", "in", False, (1, 2))
        case "FOR_ITER":
            is_handed_over = previous is not None and previous.name == "LOAD_FAST" and previous.arg == ARGUMENT
            return Point("iterate", ARGUMENT if is_handed_over else "", False, (1,))
        case "RESUME" if is_generator:
            return Point("resume")
        case "LOAD_DEREF" | "STORE_DEREF" | "DELETE_DEREF":
            cell = getattr(instr.arg, "name", str(instr.arg))
            return Point("cell", cell, name != "LOAD_DEREF") if cell in written.cells else None
    if name in _UPDATES and previous is not None and previous.name != "LOAD_CONST":
        return Point("item", "", False, (1,))
    if name in interpreter.TRUTH_TESTS and previous is not None and previous.name in _LOADS:
        return Point("test", "", False, (1,))
    return None


def _attribute_load(name: str, instr: Instr, written: WrittenNames) -> Point | None:
    if interpreter.is_method_load(instr) and (name in CONTAINER_METHODS or name in STATE_QUERIES):
        return Point("method", name, name in WRITING_METHODS, (1,))
    return Point("attribute", name, False, (1,)) if name in written.attributes else None


def _call_of(instructions: Sequence[object], index: int) -> tuple[int, int] | None:
    """Return where the function that is loaded at ``index`` is called, and with how many arguments.

    ``None`` if that is not plain to see: no call in place, no argument, keywords, jumps in between.
    """
    if not interpreter.is_loaded_to_call(instructions[index]):  # type: ignore[arg-type]
        return None
    depth, previous = 0, ""
    for place in range(index, len(instructions)):
        instr = instructions[place]
        if not isinstance(instr, Instr) or instr.has_jump():
            return None
        if instr.name == interpreter.CALL_BEGINS and isinstance(instr.arg, int) and depth == instr.arg + 2:
            return (place, instr.arg) if instr.arg and previous != "KW_NAMES" else None
        taken, given = instr.pre_and_post_stack_effect(jump=False)
        if place > index and depth + taken < 2:
            return None  # something else takes the function
        depth += taken + given
        previous = instr.name
    return None


def _iterates_range(instructions: Sequence[object], index: int) -> bool:
    """Whether the loop at ``index`` goes over ``range(...)`` called in place: its steps are nobody else's."""
    place = index - 1
    while place >= 0 and isinstance(instructions[place], Label):
        place -= 1
    if place < 1 or getattr(instructions[place], "name", "") != "GET_ITER":
        return False
    effect = 0
    for candidate in range(place - 1, max(place - 40, -1), -1):
        instr = instructions[candidate]
        if not isinstance(instr, Instr):
            return False
        effect += instr.stack_effect(jump=False)
        if effect == 1:
            return interpreter.global_name(instr) == "range"
    return False
