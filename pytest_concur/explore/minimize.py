"""Make a failing schedule simpler: fewer preemptions, then fewer switches, then fewer points, same bug.

Delta debugging over segments with lenient replay: change a chunk of segments, run what that makes, and keep it if the
run fails with the same signature and was simpler. A chunk is *merged*, so that each task runs its part of it in one go;
small chunks are also dropped, or their points moved to another segment of the same task. Merging keeps every task as
far as it was, so what comes behind the chunk still finds the tasks where it needs them. Then of two interruptions of a
task one is tried, somewhat later. Last, each preemption is shifted towards the start of its segment.

Source of the scheme: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002, on segments.
Departure: merging, which takes the place of dropping for large chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

from pytest_concur.model.schedule import Executed, Schedule, Segment

MOST_RUNS = 60

MOST_SINGLES = 8
"""Runs of these spent on schedules with one preemption, when the failing one has many."""

SMALL_CHUNK = 2
"""Chunks of so many segments are dropped and moved, too."""

LATER = 8
"""Points by which a switch is put off at most."""

Attempt = Callable[[Schedule], Executed | None]
"""Runs a schedule leniently; returns what was really executed if it failed alike, else ``None``."""


def minimize(failing: Executed, attempt: Attempt, *, budget: int = MOST_RUNS) -> Schedule:
    """Return the simplest schedule found that fails alike; the failing one itself if nothing simpler does.

    Args:
        failing: A run that failed.
        attempt: Deterministic; each call counts against ``budget``.
        budget: Most runs to spend, at least 0.
    """
    search = _Search(failing, attempt, budget)
    search.try_any(iter([Schedule((), failing.schedule.choices)]))
    search.try_any(_singles(search.best))
    size = len(search.best.schedule.segments) // 2
    while size >= 1 and search.left:
        before = search.best
        search.sweep(size)
        # what a small step made possible may let the next one go further
        size = SMALL_CHUNK if size == 1 and search.best is not before else size // 2
    while search.try_any(_with_later_switch(search.best.schedule)):
        pass
    while search.try_any(_with_fewer_points(search.best.schedule)):
        pass
    return search.best.schedule


class _Search:
    """The best schedule so far, and the runs left to find a better one."""

    def __init__(self, failing: Executed, attempt: Attempt, budget: int) -> None:
        self.best = failing
        self.left = budget
        self._attempt = attempt
        self._tried = {failing.schedule}

    def try_any(self, candidates: Iterator[Schedule]) -> bool:
        """Run candidates until one is better; return whether one was."""
        for candidate in candidates:
            if candidate in self._tried:
                continue
            if not self.left:
                return False
            self.left -= 1
            self._tried.add(candidate)
            executed = self._attempt(candidate)
            if executed is not None and executed.schedule.sort_key < self.best.schedule.sort_key:
                self.best = executed
                self._tried.add(executed.schedule)
                return True
        return False

    def sweep(self, size: int) -> None:
        """Simplify chunk by chunk."""
        start = 0
        while start < len(self.best.schedule.segments) and self.left:
            if not self.try_any(_with_chunk_changed(self.best, start, size)):
                start += size


def _singles(failing: Executed) -> Iterator[Schedule]:
    """Yield schedules with one preemption, where a task of a failing run with many was preempted, the last first."""
    segments = failing.schedule.segments
    if failing.schedule.preemptions <= 3:
        return
    start = next((place for place, segment in enumerate(segments) if segment.task), 0)
    done: dict[int, int] = {}
    singles = []
    for segment, passed in zip(segments, failing.passed, strict=False):
        total = done.get(segment.task, 0) + passed
        if segment.task and segment.points is not None:
            singles.append(Segment(segment.task, total))
        done[segment.task] = total + 1  # the point it stood at is passed when it goes on
    for single in singles[: -MOST_SINGLES - 1 : -1]:
        yield Schedule((*segments[:start], single), failing.schedule.choices)


def _with_chunk_changed(executed: Executed, start: int, size: int) -> Iterator[Schedule]:
    segments, choices = executed.schedule.segments, executed.schedule.choices
    chunk = segments[start : start + size]
    before, behind = segments[:start], segments[start + size :]
    if size <= SMALL_CHUNK:
        yield Schedule(before + behind, choices)
        yield Schedule(_with_points_moved(before + behind, start, chunk), choices)
    merged = _merged(chunk, executed.passed[start : start + size])
    if len(merged) < len(chunk) or size == SMALL_CHUNK:
        orders = permutations(merged) if len(merged) <= 2 else iter([merged, merged[::-1]])
        for order in orders:
            yield Schedule((*before, *order, *behind), choices)


def _merged(chunk: tuple[Segment, ...], passed: tuple[int, ...]) -> tuple[Segment, ...]:
    """Return one segment for each task of a chunk, in order of appearance, that takes the task as far."""
    totals: dict[int, int] = {}
    last: dict[int, Segment] = {}
    for segment, points in zip(chunk, passed, strict=False):
        stood_at_point = segment.task in last and last[segment.task].points is not None
        totals[segment.task] = totals.get(segment.task, 0) + points + stood_at_point
        last[segment.task] = segment
    return tuple(Segment(task, None if last[task].points is None else total) for task, total in totals.items())


def _with_points_moved(rest: tuple[Segment, ...], start: int, dropped: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Give the points of dropped segments to the nearest earlier segment of the same task, or the nearest later one."""
    result = list(rest)
    for lost in dropped:
        places = [*range(start - 1, -1, -1), *range(start, len(result))]
        for place in places:
            if result[place].task == lost.task:
                points, more = result[place].points, lost.points
                result[place] = Segment(lost.task, None if points is None or more is None else points + more + 1)
                break
    return tuple(result)


def _with_later_switch(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules where a task that was interrupted twice is interrupted once, somewhat later.

    The first time the other one could do nothing, since a lock was still held, say.
    """
    segments = schedule.segments
    for place, (first, _, second) in enumerate(zip(segments, segments[1:], segments[2:], strict=False)):
        if first.task == second.task and first.points is not None and second.points is not None:
            passed = first.points + second.points + 1
            for more in range(LATER):
                later = Segment(first.task, passed + more)
                yield Schedule((*segments[:place], later, *segments[place + 3 :]), schedule.choices)


def _with_fewer_points(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules with one preemption earlier in its segment."""
    segments = schedule.segments
    for place, segment in enumerate(segments):
        if segment.points:
            for fewer in sorted({0, segment.points // 2, segment.points - 1}):
                earlier = Segment(segment.task, fewer)
                yield Schedule((*segments[:place], earlier, *segments[place + 1 :]), schedule.choices)
