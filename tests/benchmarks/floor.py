"""What threads cost by themselves: the floor under a schedule, whoever explores it."""

import os
import statistics
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from clock import loops_of
from programs import Program


class Costs(NamedTuple):
    """What threads cost here, on one CPU, in loops (see ``clock``)."""

    thread_start: float
    hand_over: float
    plain_run: float
    """The program, run once by threads that nobody controls: their starts, and its own work."""


def measure_costs(program: Program[Any]) -> Costs:
    """Measure in this process, which takes a few tenths of a second."""
    with _pinned_to_one_cpu():
        return Costs(_thread_start(), _hand_over(), _plain_run(program))


def _plain_run(program: Program[Any], batches: int = 9, batch: int = 50) -> float:
    """One run by plain threads; one after the other if the program can get stuck."""
    pending: list[Any] = []

    def run_batch() -> None:
        for _ in range(batch):
            state = program.setup()
            for thread in program.threads:
                done = allocate_lock()
                done.acquire()
                start_new_thread(_run_and_release, (thread, state, done))
                if program.is_search:
                    done.acquire()
                    done.release()
                pending.append(done)
            while pending:
                pending.pop().acquire()
            assert program.check(state), "a plain run went wrong"

    return _median(run_batch, batches) / batch


def _run_and_release(thread: Callable[[Any], None], state: Any, done: Any) -> None:
    thread(state)
    done.release()


def _thread_start(batches: int = 9, batch: int = 100) -> float:
    """One raw thread: start, first run, exit. On one CPU an exiting thread delays the next, so a batch counts it."""
    done = allocate_lock()
    done.acquire()

    def start_batch() -> None:
        for _ in range(batch):
            start_new_thread(done.release, ())
            done.acquire()

    return _median(start_batch, batches) / batch


def _hand_over(batches: int = 9, batch: int = 1000) -> float:
    """One pass of the baton between two threads that have a lock each: release the other's, acquire one's own."""
    here, there, ended = allocate_lock(), allocate_lock(), allocate_lock()
    for lock in (here, there, ended):
        lock.acquire()

    def other_thread() -> None:
        for _ in range(batches * batch):
            there.acquire()
            here.release()
        ended.release()

    def pass_there_and_back() -> None:
        for _ in range(batch):
            there.release()
            here.acquire()

    start_new_thread(other_thread, ())
    median = _median(pass_there_and_back, batches)
    ended.acquire()
    return median / (2 * batch)


def _median(work: Callable[[], None], times: int) -> float:
    return statistics.median(loops_of(work) for _ in range(times))


@contextmanager
def _pinned_to_one_cpu() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
