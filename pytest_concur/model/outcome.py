"""The outcome of a run: the values that are compared with the sequential runs.

Only what compares by value takes part. Objects that compare by identity would differ between any two runs and say
nothing; they are left out.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Set
from typing import Any


class _LeftOut:
    def __repr__(self) -> str:
        return "<compares by identity>"


LEFT_OUT = _LeftOut()
_ATOMS = (int, float, complex, str, bytes, bool, type(None), range)


MOST_VALUES = 20_000
DEEPEST = 100
"""Containers in a value, and how many of them one inside another, beyond which they are left out."""


def comparable(value: Any) -> Any:
    """Return ``value`` as nested tuples that compare by value, with :data:`LEFT_OUT` where that is impossible."""
    return _Reading().of(value)


class _Reading:
    """Reads one value with all that is inside; not what contains itself."""

    def __init__(self) -> None:
        self._around: set[int] = set()
        self._left = MOST_VALUES

    def of(self, value: Any) -> Any:
        if type(value) in _ATOMS:
            return value if value == value else ("nan",)  # nan is unequal to itself, and yet no news
        self._left -= 1
        if self._left < 0 or len(self._around) > DEEPEST or id(value) in self._around:
            return LEFT_OUT
        self._around.add(id(value))
        try:
            return self._inside(value)
        finally:
            self._around.discard(id(value))

    def _inside(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return ("enum", type(value).__qualname__, value.name)
        if isinstance(value, float) and value != value:
            return ("nan",)
        if isinstance(value, BaseException):
            return ("exception", type(value).__qualname__, tuple(map(self.of, value.args)))
        if dataclasses.is_dataclass(value) and not isinstance(value, type) and _has_own_equality(value):
            names = [field.name for field in dataclasses.fields(value) if field.compare]
            return (type(value).__qualname__, *((name, self.of(getattr(value, name, LEFT_OUT))) for name in names))
        if isinstance(value, Mapping):
            pairs = [(self.of(key), self.of(item)) for key, item in value.items()]
            return ("mapping", tuple(sorted(pairs, key=repr)))
        if isinstance(value, Set):
            return ("set", tuple(sorted(map(self.of, value), key=repr)))
        if isinstance(value, list | tuple):
            return (type(value).__qualname__, *map(self.of, value))
        if isinstance(value, bytearray | memoryview):
            return ("bytes", bytes(value))
        if isinstance(value, type):
            return ("type", value.__module__, value.__qualname__)
        return _other(value)


def _other(value: Any) -> Any:
    """A value of a foreign type: its ``__eq__`` says that it compares by value, its ``repr`` then stands for it."""
    kind: Any = type(value)
    if kind.__eq__ is object.__eq__ or kind.__repr__ is object.__repr__:
        return LEFT_OUT
    try:
        text = repr(value)
    except RecursionError:
        return LEFT_OUT
    return LEFT_OUT if " at 0x" in text else ("value", type(value).__qualname__, text)


def shown(outcome: Any) -> str:
    """Return an outcome as users write the value that it was made of."""
    if not isinstance(outcome, tuple) or not outcome or not isinstance(outcome[0], str):
        return repr(outcome)
    kind, *inside = outcome
    match kind, inside:
        case "nan", []:
            return "nan"
        case "enum", [str(owner), str(name)]:
            return f"{owner}.{name}"
        case "exception", [str(name), tuple(arguments)]:
            return f"{name}({', '.join(map(shown, arguments))})"
        case "mapping", [tuple(pairs)]:
            return "{" + ", ".join(": ".join(map(shown, pair)) for pair in pairs if isinstance(pair, tuple)) + "}"
        case "set", [tuple(items)]:
            return "{" + ", ".join(map(shown, items)) + "}" if items else "set()"
        case "list", items:
            return "[" + ", ".join(map(shown, items)) + "]"
        case "tuple", items:
            return "(" + ", ".join(map(shown, items)) + ("," if len(items) == 1 else "") + ")"
        case "type" | "value", [_, text]:
            return str(text)
    fields = [each if isinstance(each, tuple) and len(each) == 2 else ("", each) for each in inside]
    return f"{kind}({', '.join((f'{name}=' if name else '') + shown(value) for name, value in fields)})"


def without(outcome: Any, other: Any) -> Any:
    """Return ``outcome`` with :data:`LEFT_OUT` where it differs from ``other``, a second run of that schedule."""
    if isinstance(outcome, tuple) and isinstance(other, tuple) and len(outcome) == len(other):
        return tuple(without(mine, its) for mine, its in zip(outcome, other, strict=True))
    return outcome if outcome == other else LEFT_OUT


def matches(outcome: Any, pattern: Any) -> bool:
    """Whether ``outcome`` equals ``pattern`` wherever neither leaves a value out."""
    if outcome is LEFT_OUT or pattern is LEFT_OUT:
        return True
    if isinstance(outcome, tuple) and isinstance(pattern, tuple):
        return len(outcome) == len(pattern) and all(map(matches, outcome, pattern))
    return bool(outcome == pattern)


def _has_own_equality(value: Any) -> bool:
    kind: Any = type(value)
    return kind.__eq__ is not object.__eq__
