"""The fair end of a long run: everybody gets the same share, and whoever comes back to old states is going in circles.

A livelock is claimed only if, under this schedule, every task that can run has shown nothing new for a while: the same
places with the same values, over and over. A counter that grows is news. Anything else is a step limit, no verdict.

Source of the idea: Musuvathi, Qadeer, "Fair Stateless Model Checking", PLDI 2008.
"""

from __future__ import annotations

import dis
import types
from functools import cache
from itertools import pairwise
from typing import Any

from pytest_concur.engine.frames import is_ours
from pytest_concur.model.turn import Moment

SHARE = 7
"""Points of a fair turn; prime, so that turns do not keep step with short loops."""

ROUNDS = 50
"""Turns of each task without anything new before it counts as going in circles."""

_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_MOST_ATTRIBUTES = 40


class RoundRobin:
    """Schedules by turns and remembers the states seen."""

    def __init__(self) -> None:
        self._last = -1
        self._seen: set[Any] = set()
        self._turns_without_news: dict[int, int] = {}

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        later = [task for task in moment.enabled if task > self._last]
        self._last = later[0] if later else moment.enabled[0]
        return self._last, SHARE

    def choose(self, count: int) -> int:
        return 0

    def note(self, task: int, state: Any) -> None:
        """The task was seen in this state, a hashable value, at the end of a turn."""
        if (task, state) in self._seen:
            self._turns_without_news[task] = self._turns_without_news.get(task, 0) + 1
        else:
            self._seen.add((task, state))
            self._turns_without_news.clear()

    def is_going_in_circles(self, enabled: list[int]) -> bool:
        return all(self._turns_without_news.get(task, 0) >= ROUNDS for task in enabled)


def state_of(frame: types.FrameType | None) -> Any:
    """Return where a stack stands and the plain values its locals hold, one level into objects and containers."""
    state = []
    while frame is not None and is_ours(frame):
        frame = frame.f_back
    while frame is not None and not is_ours(frame):
        if _is_iterating(frame):
            return object()  # how far the iterator has come cannot be seen: always news
        values = tuple((name, _plain(value)) for name, value in frame.f_locals.items())
        state.append((id(frame.f_code), frame.f_lasti, values))
        frame = frame.f_back
    return tuple(state)


def _plain(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list | tuple | set | frozenset | dict):
        items = (each for pair in value.items() for each in pair) if isinstance(value, dict) else iter(value)
        return type(value), tuple(repr(item) if isinstance(item, _PLAIN) else id(item) for item in items)
    if isinstance(value, types.CellType):
        try:
            return _plain(value.cell_contents)
        except ValueError:
            return None
    attributes = getattr(value, "__dict__", None)
    if isinstance(attributes, dict) and not isinstance(value, type | types.ModuleType):
        shown = list(attributes.items())[:_MOST_ATTRIBUTES]
        return id(value), tuple((n, v if isinstance(v, _PLAIN) else _size(v)) for n, v in shown)
    return type(value), _size(value)


def _is_iterating(frame: types.FrameType) -> bool:
    """Whether the frame stands inside a ``for`` loop."""
    return any(start <= frame.f_lasti < end for start, end in _for_loops(frame.f_code))


@cache
def _for_loops(code: types.CodeType) -> tuple[tuple[int, int], ...]:
    # a scheduling point asks its countdown by the same instruction, with the iterator as a constant
    pairs = pairwise(dis.get_instructions(code))
    return tuple((b.offset, b.argval) for a, b in pairs if b.opname == "FOR_ITER" and a.opname != "LOAD_CONST")


def _size(value: Any) -> Any:
    try:
        return len(value)
    except Exception:  # foreign objects may raise anything when asked for a length
        return None
