"""Virtual time. It stands still while anybody can run and jumps to the next deadline when nobody can.

Reading it makes it creep, a microsecond a read and ever more if nothing else happens between reads: a loop that waits
for the clock without sleeping ends, as it would on a real machine.

Processes, other machines and threads that nobody controls need real time. Where a run may depend on them its clock
keeps step: for a while it is as fast as real time.
"""

from __future__ import annotations

import time

_CREEP_NS = 1_000
_PATIENCE = 64  # reads in a row before each further read doubles the step
_LONGEST_CREEP_NS = 1_000_000_000


class VirtualClock:
    """The clocks of one run. All times in nanoseconds unless the name says otherwise."""

    def __init__(self, wall_ns: int, monotonic_ns: int) -> None:
        """The times at which every run of a test begins."""
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self.elapsed_ns = 0
        self.has_run_ahead = False
        """Time has passed without anybody having waited for it."""

        self.was_held_back = False
        """Reading would have made it run ahead of real time."""

        self._reads = 0
        self._real_start_ns = self._in_step_until_ns = 0  # real times

    @classmethod
    def started_now(cls) -> VirtualClock:
        return cls(time.time_ns(), time.monotonic_ns())

    def restarted(self) -> VirtualClock:
        """Return a clock that begins where this one began."""
        return VirtualClock(self._wall_ns, self._monotonic_ns)

    def jump_to(self, elapsed_ns: int) -> None:
        """Move forward, never back."""
        if elapsed_ns > self.elapsed_ns:
            self.elapsed_ns = elapsed_ns
            self.has_run_ahead |= not self.is_in_step
        self._reads = 0

    def catch_up(self, elapsed_ns: int) -> None:
        """Move forward, never back, over time that has really passed."""
        self.elapsed_ns = max(self.elapsed_ns, elapsed_ns)

    def read_wall_ns(self) -> int:
        return self._wall_ns + self._read()

    def read_monotonic_ns(self) -> int:
        return self._monotonic_ns + self._read()

    def deadline(self, timeout_s: float) -> int:
        """Return the time, in nanoseconds since the run began, when a wait that starts now is over."""
        if self._in_step_until_ns:
            self._follow()
        return self.elapsed_ns + max(0, round(timeout_s * 1e9))

    # ---- in step with real time ----

    def keep_step(self, seconds: float) -> None:
        """From now on, and for so many seconds, be as fast as real time."""
        now = time.monotonic_ns()
        self._real_start_ns = now - self.elapsed_ns
        self._in_step_until_ns = now + round(seconds * 1e9)

    @property
    def is_in_step(self) -> bool:
        """Whether this clock is as fast as real time now."""
        return self._in_step_until_ns > 0 and time.monotonic_ns() < self._in_step_until_ns

    def lacks_ns(self, elapsed_ns: int) -> int:
        """Return the nanoseconds of real time that must pass before this clock may move to ``elapsed_ns``."""
        now = time.monotonic_ns()
        return max(0, min(elapsed_ns + self._real_start_ns, self._in_step_until_ns) - now)

    def _follow(self) -> None:
        self.catch_up(min(time.monotonic_ns(), self._in_step_until_ns) - self._real_start_ns)

    def _read(self) -> int:
        doublings = max(0, self._reads - _PATIENCE)
        self._reads += 1
        if self.is_in_step:
            self.was_held_back |= doublings > 0
            self.elapsed_ns += _CREEP_NS
            self._follow()
        else:
            self.has_run_ahead |= doublings > 0
            self.elapsed_ns += min(_CREEP_NS << min(doublings, 40), _LONGEST_CREEP_NS)
        return self.elapsed_ns
