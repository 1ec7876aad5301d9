"""Minimization on a made-up bug: a predicate on schedules instead of a program."""

from __future__ import annotations

from pytest_concur.explore.minimize import minimize
from pytest_concur.model.schedule import Executed, Schedule, Segment


def executed(*segments: tuple[int, int | None]) -> Executed:
    schedule = Schedule(tuple(Segment(task, points) for task, points in segments))
    return Executed(schedule, tuple(points or 0 for _, points in segments))


def test_noise_is_dropped():
    """Of many preemptions only the one that matters is left: task 1 switched away within its first three points."""
    noise = [(2, 1), (1, 2), (3, 0), (2, 4), (3, 1), (2, 0), (3, None), (2, None), (1, None)]

    def attempt(schedule: Schedule) -> Executed | None:
        fails = any(s.task == 1 and s.points is not None and s.points <= 3 for s in schedule.segments)
        return Executed(schedule, tuple(s.points or 0 for s in schedule.segments)) if fails else None

    smallest = minimize(executed(*noise), attempt)

    assert smallest.preemptions == 1
    assert [s for s in smallest.segments if s.points is not None] == [Segment(1, 0)]


def test_budget_is_kept():
    """No more runs than allowed are made; without any, the failing schedule itself is returned."""
    runs = []

    def attempt(schedule: Schedule) -> Executed | None:
        runs.append(schedule)
        return None

    failing = executed((1, 1), (2, 2), (1, 3), (2, None))

    assert minimize(failing, attempt, budget=5) == failing.schedule
    assert len(runs) == 5
    assert minimize(failing, attempt, budget=0) == failing.schedule


class TwoCriticalMoments:
    """Two tasks of 100 points that switch at every point; it fails if each stood in its window while the other passed.

    A machine of its own: runs segments leniently, as the engine would, and says what was really executed.
    """

    LENGTH = 100

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, schedule: Schedule) -> Executed | None:
        self.runs += 1
        position = {1: 0, 2: 0}
        seen = set()
        segments: list[Segment] = []
        passed: list[int] = []
        for task, points in [*schedule.segments, Segment(1, None), Segment(2, None)]:
            start = position[task]
            if start >= self.LENGTH:
                continue
            resumed = any(segment.task == task for segment in segments)
            end = self.LENGTH if points is None else min(self.LENGTH, start + points + resumed)
            other = position[3 - task]
            if 40 <= other < 43 and start < 42 <= end:
                seen.add(task)
            position[task] = end
            segments.append(Segment(task, None if end == self.LENGTH else points))
            passed.append(end - start - resumed)
        executed = Executed(Schedule(tuple(segments)), tuple(passed))
        return executed if seen else None


def test_hundreds_of_preemptions_become_few_within_the_budget():
    """A run that switched at each of 200 points is minimized to at most two preemptions in 60 runs."""
    machine = TwoCriticalMoments()
    alternating = Schedule(tuple(Segment(task, 0) for _ in range(100) for task in (1, 2)))
    failing = machine(alternating)
    assert failing is not None
    assert failing.schedule.preemptions > 150
    machine.runs = 0

    smallest = minimize(failing, machine)

    assert smallest.preemptions <= 2
    assert machine.runs <= 60
