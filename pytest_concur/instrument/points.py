"""Which instructions get a scheduling point, and what they access.

Shared accesses are attributes, items, globals, variables of enclosing functions, steps of iteration, calls of methods
that read or change a built-in container, truth tests of variables (a container may be behind), and what takes them
apart (``a, b = pair``, ``f(*pair)``, ``match``). Local variables are nobody else's and never count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal

from bytecode import Instr, Label

from pytest_concur.instrument import interpreter
from pytest_concur.instrument.calls import call_of
from pytest_concur.instrument.gil import find_polls
from pytest_concur.instrument.point import Point
from pytest_concur.instrument.variables import Variables, calls_of_kept_methods, iterates_range
from pytest_concur.instrument.written import WrittenNames

Granularity = Literal["access", "gil", "sync"]

Position = tuple[int | None, int | None, int | None, int | None]
"""A place in the source: first and last line, first and last column."""

CONTAINER_METHODS = frozenset(
    name
    for kind in (list, dict, set, bytearray)
    for name in dir(kind)
    if not name.startswith("_") and name not in {"decode", "split", "join", "strip", "format"}
) | frozenset(
    "__setitem__ __getitem__ __delitem__ __contains__ __len__ __iadd__ __ior__ __setattr__ __delattr__ appendleft "
    "popleft extendleft rotate move_to_end popitem most_common subtract elements".split()
)
"""Methods of mutable built-in containers and of those in ``collections``."""

STATE_QUERIES = frozenset(
    "locked is_set set is_alive is_done empty full qsize done running cancelled notify notify_all send throw "
    "__next__".split()
)
"""Methods and functions that look at, or change, what another task may change, outside the user's code."""

KEPT_METHODS = CONTAINER_METHODS | STATE_QUERIES
"""Methods whose calls are points also where they are kept in a variable."""

NOTHING_SHARED: Mapping[str, str] = MappingProxyType({})

STATE_ATTRIBUTES = frozenset("broken n_waiting unfinished_tasks queue _value".split())
"""Attributes of the same sort."""

FUNCTIONS_OF_SEQUENCES = frozenset(
    "heappush heappop heapify heapreplace heappushpop insort insort_left insort_right bisect bisect_left "
    "bisect_right".split()
)
"""Those of ``heapq`` and ``bisect``, which are imported by name or called by way of the module."""

READERS = FUNCTIONS_OF_SEQUENCES | frozenset(
    "len next iter list tuple set dict frozenset sorted sum min max any all reversed enumerate zip map filter vars "
    "getattr setattr delattr hasattr".split()
)
"""Built-in functions that read, or change, the object they are given."""

WRITING_METHODS = frozenset(
    "append appendleft extend extendleft insert remove pop popleft popitem clear sort reverse rotate update setdefault "
    "add discard difference_update intersection_update symmetric_difference_update move_to_end send notify notify_all "
    "__setitem__ __delitem__ __iadd__ __ior__ __setattr__ __delattr__ "
    "set subtract heappush heappop heapify heapreplace heappushpop insort insort_left insort_right setattr delattr "
    "next".split()
)

ARGUMENT = ".0"
"""What the compiler calls the iterator that a generator expression is given: a variable holds it, and nobody else."""

SYSTEM = Point("system", "the system", True)

_MAY_CALL = frozenset({
    interpreter.CALL_BEGINS, "CALL_KW", "CALL_FUNCTION_EX", "BEFORE_WITH", "FOR_ITER", "LOAD_ATTR", "STORE_ATTR",
    "BINARY_SUBSCR", "STORE_SUBSCR", "DELETE_SUBSCR", "CONTAINS_OP",
})  # fmt: skip
"""Instructions that may lead to a function written in C, by whatever way."""

_RUN_NOTHING = frozenset({"LOAD_FAST", "LOAD_FAST_LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_CONST", "PUSH_NULL", "KW_NAMES"})
"""Instructions behind which nothing has happened: what is met before them could as well be met behind them."""

_UPDATES = frozenset({"LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE"})
TAKE_APART = frozenset({"UNPACK_SEQUENCE", "UNPACK_EX"})
_MATCH_PARTS = {"GET_LEN": 1, "MATCH_KEYS": 2, "MATCH_CLASS": 3}
"""Instructions of ``match`` that look into its subject, and where on the stack that is."""

_LOADS = frozenset({"LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_DEREF", "LOAD_GLOBAL", "LOAD_ATTR", "BINARY_SUBSCR"})


def find_points(
    instructions: Sequence[object],
    granularity: Granularity,
    written: WrittenNames,
    *,
    is_generator: bool,
    calling: Collection[Position] = (),
    parameters: Collection[str] = (),
    shared: Mapping[str, str] = NOTHING_SHARED,
) -> dict[int, Point]:
    """Return the points of a function: index of the instruction -> what it does there.

    A ``resume`` point stands behind its instruction, all others before it; for ``call`` see :mod:`.gil`.

    Args:
        instructions: Those of the function.
        granularity: Where switches are wanted.
        written: Names that some code writes.
        is_generator: The function is one.
        calling: Places in the source that were seen to call the system.
        parameters: Names of the function's.
        shared: Methods kept in variables shared with other functions, by variable.
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
        if point is not None and point.kind == "iterate" and iterates_range(instructions, index):
            point = None
        if point is not None and point.kind in ("builtin", "method"):
            index, point = _where_it_is_called(instructions, index, point)
        if point is not None:
            points[index] = point
        if instr.name != "COPY":  # ``a and b`` tests a copy of what was loaded
            previous = instr
    points |= _points_of_variables(instructions, parameters, shared)
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
        is_written = variable in written.globals or variable in written.attributes  # ``module.variable = …``
        return Point("global", variable) if is_written else None
    match name:
        case "STORE_ATTR":
            return Point("attribute", str(instr.arg), True, (1, 2))
        case "DELETE_ATTR":
            return Point("attribute", str(instr.arg), True, (1,))
        case "STORE_GLOBAL" | "DELETE_GLOBAL":
            return Point("global", str(instr.arg), True, (1,) if name == "STORE_GLOBAL" else ())
        case "BINARY_SUBSCR" | "DELETE_SUBSCR":
            return Point("item", "", name == "DELETE_SUBSCR", (2, 1))
        case "STORE_SUBSCR":
            return Point("item", "", True, (2, 1, 3))
        case "BINARY_SLICE" | "STORE_SLICE":
            return Point("item", "", name == "STORE_SLICE", (3,))
        case "CONTAINS_OP":
            return Point("item", "in", False, (1, 2))
        case "FOR_ITER":
            is_handed_over = previous is not None and previous.name == "LOAD_FAST" and previous.arg == ARGUMENT
            return Point("iterate", ARGUMENT if is_handed_over else "", False, (1,))
        case "RESUME" if is_generator:
            return Point("resume")
        case "LOAD_DEREF" | "STORE_DEREF" | "DELETE_DEREF":
            cell: Any = instr.arg
            if cell.name not in written.cells:
                return None
            return Point("cell", cell.name, name != "LOAD_DEREF", (1,) if name == "STORE_DEREF" else (), cell=cell)
    if name in _UPDATES and previous is not None and previous.name != "LOAD_CONST":
        return Point("item", "", False, (1,))
    if name in interpreter.TRUTH_TESTS or name in TAKE_APART or (name == "CALL_FUNCTION_EX" and not instr.arg):
        return Point("test", "", False, (1,)) if previous is not None and previous.name in _LOADS else None
    if name in _MATCH_PARTS:
        return Point("test", "", False, (_MATCH_PARTS[name],))
    return None


def _where_it_is_called(instructions: Sequence[object], index: int, point: Point) -> tuple[int, Point]:
    """Return where a function or a method is called that is loaded at ``index``, and the point as it is met there.

    What its arguments run comes first. If there are none to run, or the call is not plain to see, it stays where it is.
    """
    called = call_of(instructions, index)
    if called is None:
        return index, point
    place, above = called
    point = replace(point, called_at=place)
    if point.kind == "builtin":
        has_names = getattr(instructions[place], "name", "") != interpreter.CALL_BEGINS
        if has_names or not above:
            return index, point
        return place, replace(point, stack=tuple(range(above, max(above - 2, 0), -1)))
    between = instructions[index + 1 : place]
    if all(isinstance(each, Instr) and each.name in _RUN_NOTHING for each in between):
        return index, point
    return place, replace(point, kind="bound", stack=(above + interpreter.CALLABLE_BELOW_ARGUMENTS,), loaded_at=index)


def _attribute_load(name: str, instr: Instr, written: WrittenNames) -> Point | None:
    if name in FUNCTIONS_OF_SEQUENCES:
        return Point("builtin", name, name in WRITING_METHODS)
    if interpreter.is_method_load(instr) and (name in CONTAINER_METHODS or name in STATE_QUERIES):
        return Point("method", name, name in WRITING_METHODS, (1,))
    is_seen = name in written.attributes or name in STATE_ATTRIBUTES
    return Point("attribute", name, False, (1,)) if is_seen else None


def _points_of_variables(
    instructions: Sequence[object], parameters: Collection[str], shared: Mapping[str, str]
) -> dict[int, Point]:
    """Return the points of methods, and of containers, that are met by way of a variable."""
    changed = Variables(instructions, parameters).changes_in_place()
    found = {index: Point("test", "in place", True, (2,)) for index in changed}
    for name, place, above in calls_of_kept_methods(instructions, KEPT_METHODS, shared):
        stack = (above + interpreter.CALLABLE_BELOW_ARGUMENTS,)
        found[place] = Point("bound", name, name in WRITING_METHODS, stack, called_at=place)
    return found
