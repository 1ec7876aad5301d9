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
