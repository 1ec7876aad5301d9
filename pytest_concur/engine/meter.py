"""Count scheduling points: of the run, of the running task's turn; say when the next question is due.

A hot path: everything here happens at each hand-over.
"""

from __future__ import annotations

from pytest_concur.instrument.countdown import CAPACITY, SPARE_HITS, Countdown

SPIN_POINTS = 1_000
"""Points that a task passes without being switched away before it is taken to spin, and others are offered a turn."""

FAIR_SHARE = 4
"""The last quarter of ``max_steps`` is scheduled fairly, whatever the strategy."""

IDLE_STEPS = 4_000
"""Points without anybody blocking, waking or ending before time is taken to pass, as on a real machine."""

EXTENSION_STEPS = 100
"""Steps that a run may go on for at a time beyond ``max_steps``."""


class Meter:
    """The points of one run. A point is *contested* if it was passed while at least two tasks could run."""

    def __init__(self, countdown: Countdown, max_steps: int) -> None:
        self._countdown, self._move, self._ahead = countdown, countdown.move, countdown.ahead
        self.max_steps = max_steps
        self.steps = 0
        """Points passed, up to when this was settled last, but for those in ``left``."""

        self.left = 0
        """Points at which a task lost its turn. It passes them when it is resumed, and nothing counts that."""

        self.is_contested = False
        """Points passed from now on are contested."""

        self.pace: int | None = None
        """If set, every question is followed by so many points, whatever was asked for."""

        self.fair_from = max_steps - max_steps // FAIR_SHARE
        self.time_check = IDLE_STEPS
        """At so many steps time passes, unless something happens before."""

        self.lonely = 0
        """Of these, the points that were not contested."""

        self.turn_began = 0
        """Contested points passed when the turn began."""

        self._paced_to = 0  # steps at which the next question is due if there is a pace
        self._spins_at = SPIN_POINTS
        self.limit = min(self.fair_from, self.time_check, SPIN_POINTS)
        """At so many steps something is due, whatever the scheduler wants."""

    @property
    def contested(self) -> int:
        """Contested points passed."""
        return self.steps - self.lonely

    def settle(self) -> None:
        """Account for the points passed since the countdown was armed; the next point will ask."""
        countdown = self._countdown
        left = self._ahead() - SPARE_HITS
        passed = countdown.armed - left if left > 0 else countdown.armed
        countdown.armed = 0
        self._move(CAPACITY)
        self.steps += passed
        if not self.is_contested:
            self.lonely += passed

    def pass_point(self, points: int) -> None:
        """The running task goes on past the point it stands at, and ``points`` more."""
        self.steps += 1
        if not self.is_contested:
            self.lonely += 1
        if self.pace is not None:
            self._paced_to = self.steps + self.pace
        self.arm(points)

    def pass_asked(self) -> None:
        """The running task goes on past the point it stands at, and every point asks: nothing was counted down."""
        self.steps = self._paced_to = self.steps + 1
        if not self.is_contested:
            self.lonely += 1

    def begin_turn(self, points: int) -> None:
        """Somebody gets the turn, for so many points if they are contested."""
        steps = self.steps
        self.turn_began = steps - self.lonely
        self._spins_at = limit = steps + SPIN_POINTS
        if limit > self.time_check:
            limit = self.time_check
        if limit > self.fair_from:
            limit = self.fair_from
        self.limit = limit
        if self.pace is not None:
            points = self.pace
            self._paced_to = steps + points
        elif not self.is_contested or points > limit - steps:
            points = limit - steps if limit > steps else 0
        self._countdown.armed = points
        self._move(CAPACITY - points)

    def arm(self, points: int) -> None:
        """Ask again after so many points, or earlier if something else is due."""
        if self.pace is not None:
            points = max(self._paced_to - self.steps, 0)  # not anew: whoever wakes others would never be asked
        else:
            left = self.limit - self.steps
            if points > left:
                points = left if left > 0 else 0
        self._countdown.armed = points
        self._move(CAPACITY - points)

    def leave_point(self) -> None:
        """The running task loses its turn at a point; that brings whatever is due at so many steps one nearer."""
        self.left += 1
        self.max_steps -= 1
        self.fair_from -= 1
        self.time_check -= 1

    def is_spinning(self) -> bool:
        """Whether the turn is so long that its task may be spinning; true once for each :data:`SPIN_POINTS`."""
        if self.steps < self._spins_at:
            return False
        self._spins_at += SPIN_POINTS
        self._set_limit()
        return True

    def note_progress(self) -> None:
        """Somebody blocked, woke or ended: time need not pass for a while."""
        self.time_check = self.steps + IDLE_STEPS
        self._set_limit()

    def extend(self) -> None:
        """The run may go on for another while although it is long."""
        self.max_steps += EXTENSION_STEPS

    def interrupt_turn(self) -> tuple[int, int, int]:
        """Another task runs for a moment; return what :meth:`resume_turn` needs."""
        return self.turn_began, self.steps, self.lonely

    def resume_turn(self, state: tuple[int, int, int]) -> None:
        """Go on with a turn as if nothing had been passed meanwhile."""
        began, steps, lonely = state
        self.turn_began = began + (self.steps - steps) - (self.lonely - lonely)
        self._spins_at = self.steps + SPIN_POINTS
        self._set_limit()

    def _set_limit(self) -> None:
        self.limit = min(self._spins_at, self.time_check, self.fair_from)
