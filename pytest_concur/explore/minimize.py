"""Make a failing schedule simpler: fewer preemptions, then fewer switches, then fewer points, same bug.

Delta debugging over segments with lenient replay: drop segments, or move their points to another segment of the same
task, run what is left, and keep it if the run fails with the same signature and was simpler. Then shift each
preemption towards the start of its segment.

Source of the scheme: Zeller, Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", TSE 2002, on segments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from pytest_concur.model.schedule import Executed, Schedule, Segment

MOST_RUNS = 60

MOST_SINGLES = 24
"""Runs of these spent on schedules with one preemption, when the failing one has many."""

Attempt = Callable[[Schedule], Executed | None]
"""Runs a schedule leniently; returns what was really executed if it failed alike, else ``None``."""


def minimize(failing: Executed, attempt: Attempt, *, budget: int = MOST_RUNS) -> Schedule:
    """Return the simplest schedule found that fails alike; the failing one itself if nothing simpler does.

    Args:
        failing: A run that failed.
        attempt: Deterministic; each call counts against ``budget``.
        budget: Most runs to spend, at least 0.
    """
    best = failing.schedule
    tried = {best}
    left = budget
    improved = True
    while improved and left > 0:
        improved = False
        for candidate in chain(_singles(failing) if best is failing.schedule else (), _candidates(best)):
            if candidate in tried:
                continue
            if left <= 0:
                break
            tried.add(candidate)
            left -= 1
            executed = attempt(candidate)
            if executed is not None and executed.schedule.sort_key < best.sort_key:
                best, improved = executed.schedule, True
                tried.add(best)
                break
    return best


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


def _candidates(schedule: Schedule) -> Iterator[Schedule]:
    """Yield simpler schedules, boldest first."""
    segments = schedule.segments
    count = len(segments)
    yield Schedule((), schedule.choices)
    size = count // 2
    while size >= 1:
        for start in range(0, count - size + 1, size):
            dropped = segments[start : start + size]
            rest = segments[:start] + segments[start + size :]
            yield Schedule(rest, schedule.choices)
            if size <= 2:
                yield Schedule(_with_points_moved(rest, start, dropped), schedule.choices)
        size //= 2
    for place, segment in enumerate(segments):
        if segment.points is None or segment.points == 0:
            continue
        for fewer in {0, segment.points // 2, segment.points - 1}:
            yield Schedule((*segments[:place], Segment(segment.task, fewer), *segments[place + 1 :]), schedule.choices)


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
