"""What tasks do that no operation tells of: a scheduler that wants to be sure of all orders hears of it, or the record.

Where it is known what is touched, the scheduler compares that with operations. Where nobody knows what, or when it
changes, the record says so, and no search with such a run is complete.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType

from pytest_concur.engine.handed import is_written_in_python, touched
from pytest_concur.engine.operations import BY_NAME, PLAIN, adds_missing, class_that_has, find_in_class, is_a
from pytest_concur.instrument.handed import Form
from pytest_concur.instrument.points import STATE_ATTRIBUTES

if TYPE_CHECKING:
    from pytest_concur.engine.execution import Execution

_COUNT_THREADS = (threading.active_count, threading.enumerate)

Note = Callable[["Execution", tuple[Any, ...]], None]
"""Is told of an access by a task of a run, with what the stack held."""


def note_handed(execution: Execution, form: Form, told: str, values: tuple[Any, ...]) -> None:
    """The task that runs hands something to code written in C: tell what no operation tells of, if there is such.

    Args:
        execution: The run.
        form: How it is handed over.
        told: The name of the function or method that an operation has told of, if so.
        values: The function and its arguments, or the operands, or the object.
    """
    if form == "takes names":
        execution.record.untold = "objects share one __dict__, and no operation tells which attributes are the same"
    if form == "call" and values[0] is globals:
        execution.record.untold = "variables are reached by way of globals(), and no operation tells which"
    if _is_alone(execution):
        if form == "names" or (form == "call" and values[0] is vars and len(values) > 1):
            execution.record.untold = "an object's __dict__ may have been kept, and no operation tells what it is"
        return
    if form == "call" and any(values[0] is each for each in _COUNT_THREADS):
        execution.record.untold = "threads are counted, and no operation tells when they end"
    for each in touched(form, told, values):
        if is_a(each.thing, ReferenceType):
            execution.record.untold = "weak references are asked, and no operation tells what lives"
        _tell(execution, each.thing, writes=each.writes, lasts=each.lasts)


def note_of(kind: str, name: str, writes: bool) -> Note | None:
    """Return what tells more of an access than its operation does, if anything does."""
    if kind == "item":
        return partial(_note_item, name, writes)
    if writes:
        return None
    note: Note | None = None
    if kind == "method" and name == "is_alive":
        note = _note_life
    elif kind == "attribute":
        note = partial(_note_state if name in STATE_ATTRIBUTES else _note_inherited, name)
    elif kind == "builtin" and name in BY_NAME:
        note = _note_named
    return note


def note_more(note: Note, execution: Execution, values: tuple[Any, ...]) -> None:
    """Tell it, if others are there whom it may concern."""
    if execution.note_touch is not None and not _is_alone(execution):
        note(execution, values)


def _note_item(name: str, writes: bool, execution: Execution, values: tuple[Any, ...]) -> None:
    """An item is looked for: others may get a turn before it is found, or before what is missing has been made."""
    key = values[1] if len(values) > 1 else None
    is_plain = type(key) in PLAIN
    if not is_plain and any(type(find_in_class(key, way)) is FunctionType for way in ("__eq__", "__hash__")):
        _tell(execution, values[0], writes=writes, lasts=True)
    if not name and not writes and is_a(values[0], defaultdict) and adds_missing(values[0], values[1:]):
        factory = values[0].default_factory
        _tell(execution, values[0], writes=True, lasts=not is_a(factory, type) or is_written_in_python(factory, type))


def _note_inherited(name: str, execution: Execution, values: tuple[Any, ...]) -> None:
    """An attribute is read that may be found in a class, which is written by another name."""
    owner = class_that_has(values[0], name)
    if owner is not None:
        _tell(execution, owner)


def _note_named(execution: Execution, values: tuple[Any, ...]) -> None:
    if len(values) > 1 and type(values[1]) is str:
        _note_inherited(values[1], execution, values)


def _note_life(execution: Execution, values: tuple[Any, ...]) -> None:
    """A thread that lives is asked whether it does; in another order it might have ended."""
    living = [task.thread for task in execution.tasks if not task.has_ended]
    if is_a(values[0], threading.Thread) and any(each is values[0] for each in living):
        execution.record.untold = "a thread is asked whether it lives, and no operation tells when it ends"


def _note_state(name: str, execution: Execution, values: tuple[Any, ...]) -> None:
    if type(values[0]).__module__ in ("threading", "queue"):
        execution.record.untold = f"{type(values[0]).__name__}.{name} is read, and no operation tells when it changes"


def _tell(execution: Execution, thing: object, *, writes: bool = False, lasts: bool = False) -> None:
    assert execution.note_touch is not None, "somebody wants to know"
    execution.note_touch(execution.current.id, execution.numbering.of(thing), writes, lasts)


def _is_alone(execution: Execution) -> bool:
    """Whether it is the body that runs, and no other task lives."""
    return not execution.current.id and all(task.has_ended for task in execution.tasks[1:])
