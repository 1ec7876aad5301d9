"""How fast this machine is from moment to moment, so that what was measured at different moments can be compared.

The clock of a shared machine can change by a factor of two from one second to the next. So a time is divided by that of
a fixed loop of plain Python, run right before and right after it: it comes in *loops*. ``LOOP_STEPS`` makes a loop
short beside what it is held against, and long beside the resolution of ``perf_counter``.
"""

import statistics
from collections.abc import Callable
from time import perf_counter

LOOP_STEPS = 20_000


def loop_seconds(times: int = 3) -> float:
    """What a loop takes now, in seconds: the least of a few, since whatever else runs can only add to it."""
    return min(_seconds(_loop) for _ in range(times))


def loops_of(work: Callable[[], object]) -> float:
    """What ``work`` takes, in loops."""
    before = loop_seconds()
    elapsed = _seconds(work)
    return elapsed / statistics.mean((before, loop_seconds()))


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def _loop() -> int:
    total = 0
    for step in range(LOOP_STEPS):
        total += step * step
    return total
