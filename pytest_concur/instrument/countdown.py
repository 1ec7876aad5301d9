"""The countdown: an iterator that gives ``None`` so many times, then something else.

It is a list iterator over ``[None, None, …, True, True, …]``; ``__setstate__`` moves it. So a point that is no decision
costs one step of a loop, and arming it for the next decision one C call.
"""

from __future__ import annotations

from typing import Any

CAPACITY = 1 << 16
"""Most points that can be armed at once; who wants more asks again."""

_SPARE_HITS = 1 << 10  # the iterator must never be exhausted: it would end for good


class Countdown:
    """One countdown, shared by all rewritten code of the process: only one task runs at a time."""

    def __init__(self) -> None:
        iterator: Any = iter([None] * CAPACITY + [True] * _SPARE_HITS)
        self.iterator = iterator
        """What rewritten code asks at each point."""

        self.tick = iterator.__next__
        """Returns ``None`` while points are left, then ``True`` until armed again."""

        self._move = iterator.__setstate__
        self._remaining = iterator.__length_hint__
        self._armed = 0

    def arm(self, points: int) -> None:
        """Let ``points`` points pass, at most :data:`CAPACITY`, before the next hit."""
        self._armed = points if points < CAPACITY else CAPACITY
        self._move(CAPACITY - self._armed)

    def passed(self) -> int:
        """Points passed since it was armed."""
        left = self._remaining() - _SPARE_HITS
        return self._armed - left if left > 0 else self._armed

    def take(self) -> int:
        """Return the points passed since it was armed; the next point hits."""
        left = self._remaining() - _SPARE_HITS
        passed = self._armed - left if left > 0 else self._armed
        self._armed = 0
        self._move(CAPACITY)
        return passed

    def stay(self) -> None:
        """After a hit that was nobody's: the next point hits again, however many there are."""
        self._move(CAPACITY)
