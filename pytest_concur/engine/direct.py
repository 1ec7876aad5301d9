"""Functions written in C that a task is made of, or a thread: the call stands in nobody's code, so it has no point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType, MethodDescriptorType, MethodType, ModuleType, WrapperDescriptorType
from typing import Any

from pytest_concur.engine.execution import Execution
from pytest_concur.engine.handed import is_written_in_python
from pytest_concur.engine.numbering import Numbering
from pytest_concur.engine.operations import CHANGES_ANYTHING, CONTAINERS, builtin_teller, is_a
from pytest_concur.engine.untold import note_handed
from pytest_concur.instrument.points import CONTAINER_METHODS, READERS, WRITING_METHODS
from pytest_concur.model.operation import Operation


def with_a_point(execution: Execution, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, with a point before its call if it is written in C."""
    return partial(call, execution, function) if _is_direct(function) else function


def call(execution: Execution, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function written in C behind a point."""
    __tracebackhide__ = True
    execution.operate(_operation_of(execution.numbering, function, args))
    if execution.note_touch is not None:
        note_handed(execution, "call", "", (function, *args))
    return function(*args, **kwargs)


def _is_direct(function: Any) -> bool:
    kind = type(function)
    if kind is FunctionType:
        return False
    if kind is MethodType:
        return _is_direct(function.__func__)
    if issubclass(kind, partial):
        return _is_direct(function.func)
    return not is_written_in_python(function, kind)


def _operation_of(numbering: Numbering, function: Any, arguments: Sequence[Any]) -> Operation:
    """Tell what a call does."""
    while issubclass(type(function), partial):
        function, arguments = function.func, (*function.args, *arguments)
    name, owner = str(getattr(function, "__name__", "")), getattr(function, "__self__", None)
    if type(function) in (MethodDescriptorType, WrapperDescriptorType) and arguments:
        owner = arguments[0]
    if is_a(owner, CONTAINERS) and name in CONTAINER_METHODS:
        number = numbering.of(owner)
        return Operation("method", number, None, name in WRITING_METHODS, (type(owner), number))
    if is_a(owner, ModuleType) and name in READERS:
        return builtin_teller(name, name in WRITING_METHODS)(numbering, tuple(arguments))
    return CHANGES_ANYTHING
