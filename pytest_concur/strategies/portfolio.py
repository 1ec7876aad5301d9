"""Several strategies in turn."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_concur.model.turn import Scheduler
from pytest_concur.strategies.strategy import Seen, Strategy


class Portfolio:
    """Several strategies in turn, so that a cut by time harms none of them; one that is through hands its turns on.

    If one is through that has seen every order, all are.
    """

    def __init__(self, *parts: Strategy, first: Sequence[int] = (), order: Sequence[int] = ()) -> None:
        """
        Args:
            parts: The strategies.
            first: Whose turn it is at the beginning, by place in ``parts``.
            order: Whose turn it is from then on, over and over; one after the other if not given.
        """
        self._parts = parts
        self._first = list(first)
        self._order = list(order) or list(range(len(parts)))
        self._handed_out = [0] * len(parts)
        self._turn = 0
        self._index = -1
        self._part: Strategy = parts[0]
        self._place = 0

    def scheduler(self, index: int) -> Scheduler:
        self._take_turn(index)
        return self._part.scheduler(self._place)

    def sees_operations(self, index: int) -> bool:
        self._take_turn(index)
        return self._part.sees_operations(self._place)

    def learn(self, seen: Seen) -> None:
        for part in self._parts:
            part.learn(seen)

    @property
    def is_exhausted(self) -> bool:
        return any(part.is_exhausted and part.trouble is None for part in self._parts) or all(
            part.is_exhausted for part in self._parts
        )

    @property
    def trouble(self) -> str | None:
        through = [part.trouble for part in self._parts if part.is_exhausted]
        return None if None in through else next(iter(through), None)

    def _take_turn(self, index: int) -> None:
        """Find out whose turn schedule number ``index`` is, if that is a new one."""
        if index == self._index:
            return
        self._index = index
        while True:
            if self._first:
                place = self._first.pop(0)
            else:
                place = self._order[self._turn % len(self._order)]
                self._turn += 1
            if not self._parts[place].is_exhausted:
                break
        self._part, self._place = self._parts[place], self._handed_out[place]
        self._handed_out[place] += 1
