"""The countdown: an iterator that gives ``None`` so many times, then something else.

It is a list iterator over ``[None, None, …, True, True, …]``; ``__setstate__`` moves it. So a point that is no decision
costs one step of a loop, and arming it for the next decision one C call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CAPACITY = 1 << 16
"""Most points that can be armed at once; who wants more asks again."""

SPARE_HITS = 1 << 10  # the iterator must never be exhausted: it would end for good


class Countdown:
    """One countdown, shared by all rewritten code of the process: only one task runs at a time."""

    def __init__(self) -> None:
        iterator: Any = iter([None] * CAPACITY + [True] * SPARE_HITS)
        self.iterator = iterator
        """What rewritten code asks at each point."""

        self.tick = iterator.__next__
        """Returns ``None`` while points are left, then ``True`` until armed again."""

        self.move: Callable[[int], None] = iterator.__setstate__
        """Goes to a place: at ``CAPACITY - n``, ``n`` points are left. For the hot path, which counts by itself."""

        self.ahead: Callable[[], int] = iterator.__length_hint__
        """Returns the points left, plus :data:`SPARE_HITS`; less after a hit."""

        self.armed = 0
        """Points it was armed for."""

    def arm(self, points: int) -> None:
        """Let ``points`` points pass, at most :data:`CAPACITY`, before the next hit."""
        self.armed = points if points < CAPACITY else CAPACITY
        self.move(CAPACITY - self.armed)

    def passed(self) -> int:
        """Points passed since it was armed."""
        left = self.ahead() - SPARE_HITS
        return self.armed - left if left > 0 else self.armed

    def stay(self) -> None:
        """After a hit that was nobody's: the next point hits again, however many there are."""
        self.move(CAPACITY)
