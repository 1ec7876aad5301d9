"""Schedulers on made-up tasks: no threads, only counts of points."""

from __future__ import annotations

from collections import Counter
from math import comb
from random import Random

from pytest_concur.model.schedule import Schedule, Segment
from pytest_concur.model.turn import Moment, Scheduler
from pytest_concur.strategies.pct import PCT
from pytest_concur.strategies.random_walk import RandomWalk
from pytest_concur.strategies.replay import Replay
from pytest_concur.strategies.sequential import Sequential

UNLIMITED_TURNS = 10_000


def interleave(scheduler: Scheduler, lengths: dict[int, int]) -> str:
    """Run tasks of so many points each, every point a letter; return the order of the letters.

    The machine does what the engine does: it asks when a turn is used up and when a task ends.
    """
    left = dict(lengths)
    moment = Moment(sorted(left))
    order = []
    task, points = scheduler.next_turn(moment)
    for _ in range(UNLIMITED_TURNS):
        while left[task] and points >= 0:
            order.append("abcdef"[task])
            left[task] -= 1
            if len(moment.enabled) > 1:
                moment.contested += 1
            points -= 1
        if left[task]:
            moment.current = task
        else:
            moment.enabled.remove(task)
            moment.current = None
        if not moment.enabled:
            return "".join(order)
        task, points = scheduler.next_turn(moment)
    raise AssertionError("the tasks never ended")


def test_random_walk_reaches_every_interleaving():
    """Two tasks of three points: all comb(6, 3) = 20 orders are seen.

    An order has probability at least (1/2)**6 in a uniform walk, so 2,000 walks miss one
    with 20 * (63/64)**2000 < 1e-12.
    """
    rng = Random(1)
    seen = {interleave(RandomWalk(rng, sticky=False), {0: 3, 1: 3}) for _ in range(2_000)}

    assert len(seen) == comb(6, 3)


def test_the_first_question_may_keep_the_task_that_runs():
    """The body goes on in half of 200 walks, and in none or all of them with p = 2**-199."""
    rng = Random(3)
    moment = Moment(enabled=[0, 1], current=0)
    first = {RandomWalk(rng, sticky=False).next_turn(moment)[0] for _ in range(200)}

    assert first == {0, 1}


def test_uniform_walk_tosses_a_fair_coin_at_each_point():
    """The second letter equals the first in half of the walks; 4,000 walks are off by 200 with p < 1e-9 (Hoeffding)."""
    rng = Random(2)
    same = sum(
        order[0] == order[1]
        for order in (interleave(RandomWalk(rng, sticky=False), {0: 5, 1: 5}) for _ in range(4_000))
    )

    assert abs(same - 2_000) < 200


def test_pct_without_change_points_runs_tasks_to_their_end():
    """Depth 1 has no change points: the order is one of the n! orders of whole tasks, each about equally often."""
    rng = Random(3)
    counts = Counter(interleave(PCT(rng, depth=1, length=9), {0: 3, 1: 3, 2: 3}) for _ in range(600))

    assert set(counts) == {"aaabbbccc", "aaacccbbb", "bbbaaaccc", "bbbcccaaa", "cccaaabbb", "cccbbbaaa"}


def test_pct_hits_a_depth_two_bug_as_often_as_it_promises():
    """The bug needs task 1 to run whole right after task 0's fourth point.

    With n=2 tasks and k=10 points one schedule does so with p >= 1/(n*k) = 1/20, so 400 miss with (19/20)**400 < 1e-8.
    """
    rng = Random(4)

    assert any(interleave(PCT(rng, depth=2, length=10), {0: 10, 1: 3}).startswith("aaaabbb") for _ in range(400))


def test_replay_follows_segments_and_then_nobody_is_preempted():
    """A segment passes its points before the switch; after the last one tasks run to their end, the lowest first."""
    schedule = Schedule((Segment(1, 1), Segment(0, 0), Segment(2, None)))

    assert interleave(Replay(schedule), {0: 3, 1: 3, 2: 2}) == "bba" + "cc" + "aa" + "b"


def test_replay_skips_what_cannot_be_followed():
    """A segment of a task that does not exist is left out and counted."""
    replay = Replay(Schedule((Segment(5, 3), Segment(1, None))))

    assert interleave(replay, {0: 1, 1: 2}) == "bba"
    assert replay.skipped == 1


def test_sequential_keeps_the_order_asked_for():
    """Tasks run whole, in the order of their rank."""
    assert interleave(Sequential(lambda task: -task), {0: 2, 1: 2, 2: 2}) == "ccbbaa"


def test_same_seed_same_schedule():
    """A scheduler's answers depend on its generator and the questions alone."""
    for make in (lambda rng: RandomWalk(rng, sticky=True), lambda rng: PCT(rng, depth=3, length=20)):
        first, second = (interleave(make(Random(9)), {0: 8, 1: 8, 2: 8}) for _ in range(2))

        assert first == second
