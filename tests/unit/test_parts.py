"""Small parts by themselves: countdown, clock, outcomes, traces, cycles of waiting tasks."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import replace

import pytest

from pytest_concur.engine.clock import VirtualClock
from pytest_concur.instrument.countdown import CAPACITY, Countdown
from pytest_concur.model.conflicts import crossings, explanation, intrusions
from pytest_concur.model.outcome import LEFT_OUT, comparable, matches, without
from pytest_concur.model.trace import ScheduleTrace, Step
from pytest_concur.model.waiting import Place, Waiting, cycle_in, describe_stuck


@pytest.mark.parametrize("points", [0, 1, 7, CAPACITY])
def test_countdown_lets_points_pass_and_then_hits(points):
    """After ``arm(n)`` n ticks return None and the next ones do not, and the passed points are known throughout."""
    countdown = Countdown()
    countdown.arm(points)

    assert [countdown.tick() for _ in range(points)] == [None] * points
    assert countdown.passed() == points
    assert [countdown.tick() for _ in range(3)] == [True] * 3
    assert countdown.passed() == points


def test_clock_stands_still_but_for_the_creep_of_reading():
    """A jump is exact; a loop that only reads the clock gets any waiting time over in a few hundred reads."""
    clock = VirtualClock(0, 0)
    clock.jump_to(5_000_000_000)
    reads = 0
    while clock.read_monotonic_ns() < 65_000_000_000:
        reads += 1

    assert clock.restarted().elapsed_ns == 0
    assert reads < 500


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Money:
    amount: int


def test_values_compare_and_identities_are_left_out():
    """Containers, enums, data classes and exceptions compare by value; a plain object does not take part."""
    value = [{"a": Colour.RED, "b": {1, 2}}, Money(3), ValueError("x"), float("nan")]

    assert comparable(value) == comparable([{"b": {2, 1}, "a": Colour.RED}, Money(3), ValueError("x"), float("nan")])
    assert comparable(Money(3)) != comparable(Money(4))
    assert comparable(object()) is LEFT_OUT
    assert matches(comparable((1, object())), comparable((1, object())))


def test_what_differs_between_two_runs_of_one_schedule_is_left_out():
    """The differing part matches anything, the rest still has to be equal."""
    mask = without(("list", 1, 2), ("list", 1, 3))

    assert matches(("list", 1, 9), mask)
    assert not matches(("list", 2, 9), mask)


def step(task: int, *, writes: bool) -> Step:
    return Step(task, "f.py", 1, "f", 1, "x", "Box.x", writes, None)


@pytest.mark.parametrize(
    ("first", "between", "last", "is_reported"),
    [
        (False, True, False, True),
        (False, True, True, True),
        (True, True, False, True),
        (True, False, True, True),
        (True, True, True, False),
        (False, False, True, False),
        (True, False, False, False),
        (False, False, False, False),
    ],
)
def test_intrusions_are_the_unserializable_triples(first, between, last, is_reported):
    """Of the eight patterns of read and write four cannot be put in order (AVIO, ASPLOS 2006, table 1)."""
    steps = (step(1, writes=first), step(2, writes=between), step(1, writes=last))

    assert bool(intrusions(ScheduleTrace(("main", "a", "b"), steps))) is is_reported


def test_tasks_cross_where_each_was_first_once():
    """What no order gives: one has seen the first write of another, and not its second."""
    one, other = (replace(step(task, writes=task == 1), resource=2) for task in (1, 2))
    first, second = (step(task, writes=task == 1) for task in (1, 2))
    torn = ScheduleTrace(("main", "a", "b"), (first, second, other, one))

    (found,) = crossings(torn)
    assert (found.first, found.second) == ((first, second), (other, one))
    assert explanation(torn) == found
    assert not crossings(ScheduleTrace(torn.names, (first, second, one, other)))


def test_what_could_not_be_otherwise_explains_nothing():
    """The body sets a value, starts the task, waits for its end and reads the value again."""
    before, after = step(0, writes=True), step(0, writes=False)
    between = step(1, writes=True)

    assert intrusions(ScheduleTrace(("main", "a"), (before, between, after)))
    assert explanation(ScheduleTrace(("main", "a"), (replace(before, started=1), between, after))) is None


def waiting(task: str, holder: str | None) -> Waiting:
    return Waiting(task, "lock", holder, Place("f.py", 3, "f"), None)


def test_cycles_are_found_among_waiting_tasks():
    """A cycle is told from a chain that leads into it, and from tasks that wait for a signal."""
    tasks = [waiting("main", "a"), waiting("a", "b"), waiting("b", "a"), waiting("c", None)]

    assert [each.task for each in cycle_in(tasks)] == ["a", "b"]
    assert cycle_in([waiting("a", "b"), waiting("b", None)]) == []
    assert "nobody is left to wake c" in describe_stuck([waiting("main", "c"), waiting("c", None)])[0]
