"""Rewrite a code object: scheduling points before shared accesses, hooks where blocking primitives are loaded.

A point is ``if next(countdown) is not None: switch()``, asked by the interpreter's own loop instruction, without a
call: Python runs only when the countdown hits. A load of ``lock.acquire``, ``time.sleep`` and the like is followed by a
hook that may hand out a controlled counterpart of *that very object*; a ``with`` statement hands its context manager to
a hook first.

What is inserted refers to the hooks by placeholder constants, so that rewritten code can be stored on disk;
:func:`bind` puts the real callables in. Editing is done by the ``bytecode`` library.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Literal

from bytecode import Bytecode, Instr, Label

from pytest_concur.instrument import interpreter
from pytest_concur.instrument.gil import ends_call
from pytest_concur.instrument.handed import Handed, find_handed
from pytest_concur.instrument.point import Point
from pytest_concur.instrument.points import (
    KEPT_METHODS,
    NOTHING_SHARED,
    SYSTEM,
    Granularity,
    Position,
    find_points,
    loop_guards,
)
from pytest_concur.instrument.variables import methods_shared
from pytest_concur.instrument.written import WrittenNames

MOST_PUSHED = 8
"""Stack room that insertions may need on top of the original's; a frame too small would corrupt memory."""

Flavour = Literal["countdown", "observe", "operate"]
"""Points count down; or they also tell what the stack held, afterwards; or they tell it first, and each one asks.

The last also tells what code written in C is handed, though these are no points.
"""

POLLS = frozenset({"call", "jump", "resume"})
"""Kinds of points that are no accesses."""

MARK = "\0pytest_concur"
LENT = "\0pytest_concur lent"
"""The last constant of code that was made by :func:`bind`; the second if it is an installed package's."""

UNREADABLE = "\0pytest_concur unreadable"
"""The last constant of code that the library cannot read."""

Site = tuple[str, int]
"""A point: the code object's key (see :func:`code_key`) and the index of the instruction in it."""

Caller = tuple[str, Position, bool]
"""A place that calls the system: the code object's key, where it stands in the source, and whether what is called lets
the GIL go."""

Binder = Callable[[tuple[Any, ...]], object]

WAITING_METHODS = frozenset(
    "acquire release acquire_lock release_lock __enter__ __exit__ _release_save _acquire_restore get put get_nowait "
    "put_nowait sleep".split()
)
"""Those of locks and of queues written in C, and ``time.sleep``."""

RECEIVING_METHODS = frozenset("recv recv_into recvfrom recvfrom_into recvmsg recvmsg_into".split())
"""Those that wait for a socket."""

INTERCEPTED_METHODS = WAITING_METHODS | frozenset(
    "monotonic monotonic_ns perf_counter perf_counter_ns time time_ns start_new_thread start_new start_joinable_thread "
    "fork forkpty posix_spawn posix_spawnp _exit urandom now utcnow today".split()
)
"""Names under which a blocking primitive, the clock, or a start of a thread or process may be reached."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a code object is rewritten; equal recipes give equal code."""

    flavour: Flavour = "countdown"
    granularity: Granularity = "access"
    written: WrittenNames = field(default_factory=WrittenNames)
    has_points: bool = True
    """False for library code: blocking is intercepted there, its accesses are trusted."""

    muted: frozenset[Site] = frozenset()
    """Points to leave out: places seen to touch only what one task uses."""

    calling: frozenset[Caller] = frozenset()
    """Places that were seen to call the system."""

    globals_intercepted: frozenset[str] = frozenset()
    """Global names that stand for an intercepted function in this code's module."""

    methods_intercepted: frozenset[str] = INTERCEPTED_METHODS | RECEIVING_METHODS
    roles: Mapping[str, str] = field(default_factory=dict)
    """Attribute or global names with a hook of their own in this one function: name -> role."""

    is_quiet: bool = False
    """Bookkeeping code: it may block under control, but is no place for a decision."""

    is_lent: bool = False
    """Code that nobody asked to explore, with locks of its own that it may hold for as long as it likes."""

    @property
    def tells_handed(self) -> bool:
        """Whether somebody may want to know what code written in C is handed."""
        return self.has_points and self.granularity == "access" and self.flavour == "operate"

    @property
    def looks_closer(self) -> bool:
        """Whether accesses are observed that are no points."""
        return self.has_points and self.granularity != "access" and self.flavour == "observe"

    @property
    def polls(self) -> bool:
        """Whether decisions are taken where the GIL can change hands: not before a lock is tried, but behind."""
        return self.has_points and self.granularity == "gil"


def rewrite(code: types.CodeType, recipe: Recipe, shared: Mapping[str, str] = NOTHING_SHARED) -> types.CodeType:
    """Return ``code`` with points and hooks, as placeholders; nested functions and classes included.

    ``shared``: methods that functions around keep in variables which they share with this one, by variable.

    What the library cannot read stays as it is, and is not :func:`bound <is_bound>`, so that nobody takes it for seen.
    """
    try:
        editor = Bytecode.from_code(code, conserve_exception_block_stackdepth=True)
    except Exception:  # 0.19: some type parameters of CPython 3.13 with comprehensions in them
        return code.replace(co_consts=(*code.co_consts, UNREADABLE))
    instructions = list(list.__iter__(editor))  # the library's own list checks at every look
    points: dict[int, Point] = {}
    looks: dict[int, Point] = {}
    key = code_key(code)
    stars = bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)  # CO_VARARGS, CO_VARKEYWORDS
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + stars]
    if recipe.has_points:
        shared = {**shared, **methods_shared(instructions, KEPT_METHODS)}
        is_generator = bool(code.co_flags & (0x20 | 0x200))  # CO_GENERATOR, CO_ASYNC_GENERATOR
        is_gil = recipe.granularity == "gil"
        calling = {place for each, place, lets_gil_go in recipe.calling if each == key and (lets_gil_go or not is_gil)}
        find = partial(find_points, instructions, written=recipe.written, parameters=parameters, shared=shared)
        points = find(recipe.granularity, is_generator=is_generator, calling=calling)
        if recipe.looks_closer:
            looks = {at: point for at, point in find("access", is_generator=False).items() if point.kind not in POLLS}
    if recipe.muted:
        muted = {index for index in points if (key, index) in recipe.muted}
        silent = muted - loop_guards(instructions, points, muted)
        points = {index: point for index, point in points.items() if index not in silent}
    handed = find_handed(instructions, points, parameters) if recipe.tells_handed else {}
    bound = {point.loaded_at for point in (*points.values(), *looks.values())}
    out: list[Any] = []
    is_in_call = False
    for index, instr in enumerate(instructions):
        if not isinstance(instr, Instr):
            out.append(instr)
            continue
        point = points.get(index)
        own = [instr]
        if instr.name in interpreter.MAY_CHANGE and not _is_kept(instructions, index):
            own = _instruction(instr, recipe, shared)
        if (index in bound or recipe.tells_handed) and own == [instr]:
            own = interpreter.as_attribute_load(instr) or own
        if index in looks:
            own = _at(instr.location, _tell("observe", looks[index], (key, index))) + own
        if index in handed:
            own = _at(instr.location, _tell_handed(handed[index])) + own
        if point is None:
            out += own
        elif point.kind == "call":
            is_in_call = True
            before = _point(SYSTEM, (key, index), recipe) if point.calls_system else []
            out += _at(instr.location, [*before, *_before_call(point)]) + own
        elif point.kind == "resume":
            out += own + _point(point, (key, index), recipe)
        elif point.kind == "jump" and instr.name in interpreter.BACKWARD_TESTS:
            out += _backward_test(instr, _point(point, (key, index), recipe))
        else:
            out += _at(instr.location, _point(point, (key, index), recipe)) + own
        if is_in_call and ends_call(instr):
            is_in_call = False
            out += [*interpreter.call((MARK, "called")), interpreter.POP]
    list.__setitem__(editor, slice(None), out)
    # what is inserted leaves the stack as it found it: the depths are the original's, and need not be found out
    rewritten = editor.to_code(
        stacksize=code.co_stacksize + MOST_PUSHED + max((len(each.stack) for each in handed.values()), default=0),
        check_pre_and_post=False,
        compute_exception_stack_depths=False,
    )
    return rewritten.replace(
        co_linetable=_fit(rewritten.co_linetable, len(rewritten.co_code) // 2),
    )


def bind(code: types.CodeType, binder: Binder, *, mark: str = MARK) -> types.CodeType:
    """Return rewritten ``code`` with each placeholder replaced by ``binder(placeholder)``."""
    if code.co_consts and code.co_consts[-1] == UNREADABLE:
        return code
    constants = tuple(
        bind(constant, binder, mark=mark)
        if isinstance(constant, types.CodeType)
        else binder(constant)
        if type(constant) is tuple and constant and constant[0] == MARK
        else constant
        for constant in code.co_consts
    )
    return code.replace(co_consts=(*constants, mark))


def exchange(code: types.CodeType, hook: object, other: object) -> types.CodeType:
    """Return bound ``code`` with one of its hooks exchanged for another."""
    constants = tuple(
        exchange(constant, hook, other)
        if isinstance(constant, types.CodeType)
        else other
        if constant is hook
        else constant
        for constant in code.co_consts
    )
    return code.replace(co_consts=constants)


def is_bound(code: types.CodeType) -> bool:
    """Whether the code was made by :func:`bind`."""
    return bool(code.co_consts) and code.co_consts[-1] in (MARK, LENT)


def is_trusted(code: types.CodeType) -> bool:
    """Whether nothing that the code does is a point, but that it may wait for locks: it is a package's, or nobody's."""
    return not is_bound(code) or code.co_consts[-1] == LENT


def _fit(table: bytes, units: int) -> bytes:
    """Cut a location table that covers more than ``units`` code units.

    The ``bytecode`` library (0.19) writes such tables for some functions with ``EXTENDED_ARG``. CPython 3.11 fills an
    array by them without looking at its length when a profile function is set: memory is overwritten.
    Format: Objects/locations.md in CPython. An entry starts with a byte whose top bit is set; its low three bits hold
    the number of units, less one.
    """
    covered = place = 0
    while place < len(table):
        header = table[place]
        length = (header & 7) + 1
        end = place + 1
        while end < len(table) and not table[end] & 0x80:
            end += 1
        if covered + length >= units:
            left = units - covered
            return table[:place] + (bytes([header & ~7 | left - 1]) + table[place + 1 : end] if left > 0 else b"")
        covered += length
        place = end
    return table


def code_key(code: types.CodeType) -> str:
    """Return a name for a code object that is the same in every process that has the same source."""
    return f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}"


def caller_at(frame: types.FrameType, *, lets_gil_go: bool) -> Caller:
    """Return the place where a frame stands, which calls the system."""
    code = frame.f_code
    position = next(islice(code.co_positions(), frame.f_lasti // 2, None))
    return code_key(code), position, lets_gil_go


def _at(location: Any, inserted: list[Any]) -> list[Any]:
    """Give what is inserted its place in the source: what has none takes that of the instruction before it."""
    first = inserted[0]
    return [Instr(first.name, first.arg, location=location), *inserted[1:]]


def _point(point: Point, site: Site, recipe: Recipe) -> list[Any]:
    if recipe.flavour == "operate":
        return _tell("operate", point, site)
    return [
        *interpreter.unless_next_is_none((MARK, "countdown"), [*interpreter.call((MARK, "switch")), interpreter.POP]),
        # when the task goes on: what others did while it stood here comes before
        *(_tell("observe", point, site) if recipe.flavour == "observe" else ()),
    ]


def _tell(role: str, point: Point, site: Site) -> list[Instr]:
    """Hand what the stack holds to a hook: a tuple of object, key and value, as far as there are any.

    The object of a variable that functions share is what keeps it.
    """
    shared = [interpreter.load_cell(point.cell)] if point.cell is not None else []
    return [
        *shared,
        *(Instr("COPY", depth + done) for done, depth in enumerate(point.stack, len(shared))),
        Instr("BUILD_TUPLE", len(shared) + len(point.stack)),
        *interpreter.call_on_top((MARK, role, point.kind, point.name, point.writes, site)),
        interpreter.POP,
    ]


def _tell_handed(handed: Handed) -> list[Any]:
    """Hand what the stack holds to a hook, in a tuple, unless it is plain to see that it touches nothing."""
    tell = [
        *(Instr("COPY", depth + done) for done, depth in enumerate(handed.stack)),
        Instr("BUILD_TUPLE", len(handed.stack)),
        *interpreter.call_on_top((MARK, "handed", handed.form, handed.point)),
        interpreter.POP,
    ]
    if not handed.unless_plain:
        return list(tell)
    return interpreter.unless_in(handed.unless_plain, (MARK, "type"), (MARK, "plain"), tell)


def _before_call(point: Point) -> list[Instr]:
    """Hand what is about to be called to a hook."""
    return [
        Instr("COPY", *point.stack),
        *interpreter.call_on_top((MARK, "calls", point.name)),
        interpreter.POP,
    ]


def _backward_test(instr: Instr, point: list[Any]) -> list[Any]:
    """Jump back as ``instr`` does, with a point on the way: not if the test fails."""
    behind = Label()
    return [
        Instr(interpreter.BACKWARD_TESTS[instr.name], behind, location=instr.location),
        *point,
        Instr("JUMP_BACKWARD", instr.arg),
        behind,
    ]


def _instruction(instr: Instr, recipe: Recipe, shared: Mapping[str, str]) -> list[Instr]:
    location = instr.location
    if instr.name == "LOAD_CONST" and isinstance(instr.arg, types.CodeType):
        return [Instr("LOAD_CONST", rewrite(instr.arg, recipe, shared), location=location)]
    if instr.name == "BEFORE_WITH":
        return [*_at(location, interpreter.call_on_top((MARK, _context_role(recipe)))), instr]
    if (name := interpreter.attribute_name(instr)) is not None and (role := _attribute_role(name, recipe)):
        load = [interpreter.plain_attribute_load(name, location), *interpreter.call_on_top((MARK, role))]
        return load + interpreter.callable_from_top() if interpreter.is_method_load(instr) else load
    if (name := interpreter.global_name(instr)) is not None and (role := _global_role(name, recipe)):
        load = [
            Instr("LOAD_GLOBAL", (False, name), location=location),
            *interpreter.call_on_top((MARK, role)),
        ]
        return load + interpreter.callable_from_top() if interpreter.is_loaded_to_call(instr) else load
    if recipe.polls and (attribute_load := interpreter.as_attribute_load(instr)) is not None:
        return attribute_load
    return [instr]


def _context_role(recipe: Recipe) -> str:
    if recipe.is_quiet:
        return "quiet_context"
    if recipe.is_lent:
        return "lent_context"
    return "polled_context" if recipe.polls else "context"


def _attribute_role(name: str, recipe: Recipe) -> str | None:
    if name in recipe.roles:
        return recipe.roles[name]
    if name not in recipe.methods_intercepted:
        return None
    if name in RECEIVING_METHODS:
        return "receiving"
    if recipe.is_quiet:
        return "quiet_substitute"
    if recipe.is_lent:
        return "lent_substitute"
    return "polled_substitute" if recipe.polls else "substitute"


def _is_kept(instructions: Sequence[object], index: int) -> bool:
    """Whether an attribute is loaded only to be stored in an object, as in ``self.acquire = lock.acquire``.

    What users' objects hold must be their own: the hook comes when they load it again to call it.
    """
    following = instructions[index + 1 : index + 3]
    return (
        getattr(instructions[index], "name", "") == "LOAD_ATTR"
        and getattr(following[-1] if following else None, "name", "") == "STORE_ATTR"
    )


def _global_role(name: str, recipe: Recipe) -> str | None:
    if name in recipe.roles:
        return recipe.roles[name]
    if name not in recipe.globals_intercepted:
        return None
    return "lent_substitute" if recipe.is_lent else "substitute"
