"""Run a recorded schedule again, leniently: what cannot be followed any more is skipped.

A segment with a number of points runs its task for so many points; one without runs it until it blocks or ends. A
segment whose task does not exist, has ended or is blocked is skipped. After the last segment nothing is preempted: the
running task goes on, then the lowest one.

Pure: no threads, no clock, no chance.
"""

from __future__ import annotations

from pytest_concur.model.schedule import Schedule
from pytest_concur.model.turn import UNLIMITED, Moment


class Replay:
    """Follows one schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self._segments = schedule.segments
        first = self._segments[0] if self._segments and self._segments[0].task == 0 else None
        self._next = 0 if first is None else 1
        self._choices = iter(schedule.choices)
        self.skipped = 0
        """Segments that could not be followed."""
        # the body runs before the first question is asked
        self._running = -1 if first is None else 0
        self._left = 0 if first is None else UNLIMITED if first.points is None else first.points  # points still to pass
        self._asked_at = 0  # contested points when that was last brought up to date

    def next_turn(self, moment: Moment) -> tuple[int, int]:
        if self._is_early(moment):
            self._left -= 1  # the point it stands at is passed too
            return self._running, self._left
        while self._next < len(self._segments):
            segment = self._segments[self._next]
            self._next += 1
            if segment.task in moment.enabled or segment.task in moment.timed:
                self._running = segment.task
                self._left = UNLIMITED if segment.points is None else segment.points
                self._asked_at = moment.contested
                return segment.task, self._left
            self.skipped += 1
        self._running, self._left = self._fallback(moment), UNLIMITED
        return self._running, UNLIMITED

    def _is_early(self, moment: Moment) -> bool:
        """Whether the question comes before the segment is over, since something else became able to run."""
        if moment.current is None or moment.current != self._running:
            return False
        if moment.yielded and self._left > UNLIMITED // 2:
            return False  # recorded as running until blocked, or past the end: whoever gives way gives way
        self._left -= moment.contested - self._asked_at
        self._asked_at = moment.contested + 1
        return self._left > 0

    def choose(self, count: int) -> int:
        return min(next(self._choices, 0), count - 1)

    @staticmethod
    def _fallback(moment: Moment) -> int:
        if moment.current is not None and not moment.yielded:
            return moment.current
        others = [task for task in moment.enabled if task != moment.current]
        return (others or moment.enabled)[0]
