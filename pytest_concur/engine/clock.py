"""Virtual time. It stands still while anybody can run and jumps to the next deadline when nobody can.

Reading it makes it creep, a microsecond a read and ever more if nothing else happens between reads: a loop that waits
for the clock without sleeping ends, as it would on a real machine.
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
        self._reads = 0

    @classmethod
    def started_now(cls) -> VirtualClock:
        return cls(time.time_ns(), time.monotonic_ns())

    def restarted(self) -> VirtualClock:
        """Return a clock that begins where this one began."""
        return VirtualClock(self._wall_ns, self._monotonic_ns)

    def jump_to(self, elapsed_ns: int) -> None:
        """Move forward, never back."""
        self.elapsed_ns = max(self.elapsed_ns, elapsed_ns)
        self._reads = 0

    def read_wall_ns(self) -> int:
        return self._wall_ns + self._creep()

    def read_monotonic_ns(self) -> int:
        return self._monotonic_ns + self._creep()

    def deadline(self, timeout_s: float) -> int:
        """Return the time, in nanoseconds since the run began, when a wait that starts now is over."""
        return self.elapsed_ns + max(0, round(timeout_s * 1e9))

    def _creep(self) -> int:
        doublings = max(0, self._reads - _PATIENCE)
        self._reads += 1
        self.elapsed_ns += min(_CREEP_NS << min(doublings, 40), _LONGEST_CREEP_NS)
        return self.elapsed_ns
