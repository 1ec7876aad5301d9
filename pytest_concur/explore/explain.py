"""Run a failing schedule once more, slowly, and write down what each task did at each point."""

from __future__ import annotations

import enum
import sys
import types
from collections.abc import Mapping
from typing import Any

from pytest_concur.engine.execution import SleepsThrough
from pytest_concur.engine.frames import place_of
from pytest_concur.engine.hooks import Hooks
from pytest_concur.engine.operations import containers_behind, find_in_class, is_a
from pytest_concur.explore.trial import Laboratory, Trial
from pytest_concur.instrument.rewrite import POLLS
from pytest_concur.model.schedule import Schedule
from pytest_concur.model.trace import ScheduleTrace, Step, Taking
from pytest_concur.model.waiting import Place
from pytest_concur.strategies.replay import Replay

_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_LONGEST_VALUE = 30
_NOTHING = object()
_MOST_ITEMS = 4
_VALUES_OF_A_STORE = {"global": 1, "attribute": 2, "cell": 2, "item": 3}
MOST_STEPS = 5_000


class _Recorder:
    """Collects steps as the observer of one run."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._keep: list[Any] = []  # objects whose identity is used must live as long as the trace
        self.steps: list[Step] = []
        self.takings: list[Taking] = []

    def forget(self) -> None:
        """The run starts over."""
        self.steps.clear()
        self.takings.clear()
        self._keep.clear()

    def __call__(self, placeholder: tuple[Any, ...], values: tuple[Any, ...]) -> None:
        execution = self._hooks.active
        if execution is None or execution.is_over or len(self.steps) >= MOST_STEPS:
            return
        _, _, kind, name, writes, _ = placeholder
        owner = values[0] if values else None
        if kind in POLLS:
            return
        if kind == "method" and type(find_in_class(owner, name)) is types.FunctionType:
            return  # written in Python: what it does has points of its own
        frame = sys._getframe(2)
        place = place_of(frame)
        self._keep.append(owner)
        try:
            resource, part, shown = _place(kind, name, values, place.file)
            value = _value(kind, name, writes, values, frame.f_globals)
        except Exception:  # a number of too many digits, an object that is half made: nobody's business here
            resource, part, shown, value = ("contents", id(owner)), None, name or kind, None
        self.steps.append(
            Step(
                execution.current.id,
                place.file,
                place.line,
                place.function,
                resource,
                part,
                shown,
                bool(writes),
                value,
                is_call=kind == "system",
                started=len(execution.tasks),
                ended=frozenset(task.id for task in execution.tasks if task.has_ended),
            )
        )

    def note_taken(self, lock: Any, place: Place) -> None:
        """The task that runs has taken a lock."""
        execution = self._hooks.active
        if execution is not None and len(self.takings) < MOST_STEPS:
            self._keep.append(lock)
            self.takings.append(Taking(execution.current.id, id(lock), place, len(self.steps)))


def trace(
    lab: Laboratory, hooks: Hooks, schedule: Schedule, *, sleeps_through: SleepsThrough, is_focused: bool
) -> tuple[ScheduleTrace, Trial]:
    """Run ``schedule`` with every point observed; return what was seen and the run, its error with its traceback."""
    recorder = _Recorder(hooks)
    lab.cleanse()
    trial = lab.run(
        lambda: Replay(schedule),
        mode=lab.mode(is_focused=is_focused, flavour="observe"),
        observer=recorder,
        is_recording=True,
        keeps_error=True,
        sleeps_through=sleeps_through,
        on_attempt=recorder.forget,
    )
    return ScheduleTrace(tuple(trial.record.names), tuple(recorder.steps), tuple(recorder.takings)), trial


def _place(kind: str, name: str, values: tuple[Any, ...], file: str) -> tuple[Any, Any, str]:
    """Return what is accessed, which part of it, and how to call that."""
    owner = values[0] if values else None
    contents = "contents", id(owner)
    if kind == "attribute":
        return ("attributes", id(owner)), name, f"{_type_name(owner)}.{name}"
    if kind == "item":
        key = values[1] if len(values) > 1 else None
        part = _short(key) if is_a(key, _PLAIN) else None
        return contents, part, f"{type(owner).__name__}[{part or '…'}]"
    if kind == "method":
        return contents, None, f"{type(owner).__name__}.{name}()"
    if kind == "builtin" and values:
        return contents, None, f"{name}({type(owner).__name__})"
    if kind == "test":
        return contents, None, type(owner).__name__
    if kind == "iterate":
        behind = containers_behind(owner)
        if behind is not None and len(behind) == 1:
            return ("contents", id(behind[0])), None, f"the next item of {type(behind[0]).__name__}"
        return ("steps", id(owner)), None, "next item"
    if kind == "global":
        return (kind, file, name), None, name
    if kind == "cell":
        return (kind, id(owner)), None, name
    if kind == "system":
        return kind, None, name
    return (kind, id(owner), name), None, name or kind


def _value(kind: str, name: str, writes: bool, values: tuple[Any, ...], variables: Mapping[str, Any]) -> str | None:
    """Return the value about to be written or read, if that is cheap and harmless to tell."""
    if writes:
        is_store = len(values) == _VALUES_OF_A_STORE.get(kind)
        return (_told(values[-1]) or _told_inside(values[-1])) if is_store else None
    owner = values[0] if values else None
    if kind == "attribute":
        found = _attribute_of(owner, name)
    elif kind == "cell":
        found = getattr(owner, "cell_contents", _NOTHING)
    elif kind == "global":
        found = variables.get(name, _NOTHING)
    elif kind == "item" and name != "in" and type(owner) in (list, dict, tuple):
        try:
            found = owner[values[1]]  # type: ignore[index]
        except Exception:  # the program is about to see the same error, where it belongs
            return None
    else:
        return None
    return _told(found)


def _attribute_of(owner: Any, name: str) -> Any:
    """Return an attribute's value, if it can be had without running code of the program."""
    found = getattr(owner, "__dict__", {}).get(name, _NOTHING)
    if found is not _NOTHING:
        return found
    found = find_in_class(owner, name)
    if type(found) is types.MemberDescriptorType:  # a slot
        try:
            return found.__get__(owner)
        except AttributeError:
            return _NOTHING
    return found


def _told(value: Any) -> str | None:
    """Tell a value that is harmless to tell: a plain one, a member of an enumeration, a short tuple of such."""
    if is_a(value, enum.Enum):
        return f"{type(value).__name__}.{value._name_}"
    if type(value) is tuple:
        return _told_inside(value)
    return _short(value) if is_a(value, _PLAIN) else None


def _told_inside(container: Any) -> str | None:
    """The same of a container with few things in it. Who reads a variable with a container looks into it next."""
    if type(container) not in (list, tuple, set, dict) or len(container) > _MOST_ITEMS:
        return None
    inside = [*container, *container.values()] if type(container) is dict else container
    return _short(container) if all(type(each) in _PLAIN for each in inside) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _type_name(owner: Any) -> str:
    return owner.__name__ if is_a(owner, type) else type(owner).__name__
