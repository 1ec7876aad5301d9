"""A function in the place of one written in C. Whoever keeps it, hands it on or pickles it has the function itself."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any


class StandIn(partial[Any]):
    """Calls ``function``, at the cost of a call in C, and looks like ``real``."""

    _real: Any

    def __new__(cls, real: Any, function: Callable[..., Any]) -> StandIn:
        self = super().__new__(cls, function)
        self._real = real
        for name in ("__name__", "__qualname__", "__module__", "__doc__", "__self__"):
            self.__dict__[name] = getattr(real, name)
        return self

    def __eq__(self, other: object) -> bool:
        return bool(self._real == (other._real if type(other) is StandIn else other))

    def __hash__(self) -> int:
        return hash(self._real)

    def __repr__(self) -> str:
        return repr(self._real)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (self._real,)  # of a function that is itself, and everybody has it
