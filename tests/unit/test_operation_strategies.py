"""Schedulers that see operations, on made-up tasks: each is a list of operations, asked for one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from pytest_concur.model.operation import UNKNOWN, Operation
from pytest_concur.model.schedule import Executed, Schedule, Segment
from pytest_concur.model.turn import Moment, Scheduler
from pytest_concur.strategies import DPOR_FIRST, make_strategies
from pytest_concur.strategies.pos import POS
from pytest_concur.strategies.samplers import POSStrategy, SURWStrategy, URWStrategy
from pytest_concur.strategies.urw import URW, lengths_of


@dataclass(frozen=True)
class Run:
    """A finished run, as far as strategies learn from it."""

    contested: int
    executed: Executed


def write(place: str) -> Operation:
    return Operation("attribute", place, None, True, place)


def read(place: str) -> Operation:
    return Operation("attribute", place, None, False, place)


def order_of(scheduler: Scheduler, tasks: Mapping[int, Sequence[Operation]]) -> str:
    """Run tasks, asking before each operation; return who ran, a letter each: ``a`` for task 0."""
    left = {task: list(operations) for task, operations in tasks.items()}
    moment = Moment(sorted(left))
    order = ""
    while moment.enabled:
        moment.pending = {task: left[task][0] for task in moment.enabled}
        task, _ = scheduler.next_turn(moment)
        order += "abcdef"[task]
        del left[task][0]
        moment.contested += len(moment.enabled) > 1
        moment.current = task if left[task] else None
        if not left[task]:
            moment.enabled.remove(task)
    return order


def test_operations_conflict_on_one_place_if_one_of_them_writes():
    """Two reads do not; a container as a whole conflicts with each of its keys; what is not known with nothing."""
    key, other_key = (Operation("item", 1, key, True) for key in ("k", "l"))
    whole = Operation("iterate", 1)

    assert write("x").conflicts_with(read("x"))
    assert not read("x").conflicts_with(read("x"))
    assert not write("x").conflicts_with(write("y"))
    assert not key.conflicts_with(other_key)
    assert key.conflicts_with(whole)
    assert not UNKNOWN.conflicts_with(UNKNOWN)


def test_pos_draws_anew_after_a_conflict():
    """Between two writes of another task a read falls in a quarter of the schedules.

    With one priority for good it would be a sixth. 8,000 schedules are off by 400 with p < 2 exp(-40) (Hoeffding).
    """
    rng = Random(1)
    tasks = {0: [write("x"), write("x")], 1: [read("x")]}
    orders = Counter(order_of(POS(rng), tasks) for _ in range(8_000))

    assert abs(orders["aba"] - 2_000) < 400


def test_surw_is_uniform_over_the_orders_of_one_resource():
    """One write of task 1 falls before, between or after ten of task 0 equally often, whatever lies between.

    A random walk puts it last once in a thousand schedules. 11 places, 5,500 schedules: each is off by 200 from 500
    with p < 2 exp(-14) (Hoeffding).
    """
    strategy = SURWStrategy(seed=2)
    tasks = {0: [each for _ in range(10) for each in (write("x"), write("a"))], 1: [read("b"), write("x"), read("b")]}
    places = Counter()
    for index in range(5_501):
        order = order_of(strategy.scheduler(index), tasks)
        strategy.learn(Run(0, Executed(Schedule(()), ())))
        if index:  # the first one fills the profile
            steps = {"a": iter(tasks[0]), "b": iter(tasks[1])}
            interesting = "".join(task for task in order if next(steps[task]).resource == "x")
            places[interesting.index("b")] += 1

    assert set(places) == set(range(11))
    assert all(abs(count - 500) < 200 for count in places.values()), places


def test_urw_is_uniform_over_interleavings():
    """One point of task 1 falls before, between or after nine of task 0 equally often.

    10 places, 5,000 schedules: each is off by 200 from 500 with p < 2 exp(-16) (Hoeffding).
    """
    rng = Random(3)
    tasks = {0: [UNKNOWN] * 9, 1: [UNKNOWN]}
    places = Counter(order_of(URW(rng, {0: 9, 1: 1}), tasks).index("b") for _ in range(5_000))

    assert set(places) == set(range(10))
    assert all(abs(count - 500) < 200 for count in places.values()), places


def test_a_task_that_passed_no_point_still_gets_its_turn():
    """One that ran last while others could not has length 0; with only such tasks left, one of them goes on."""
    scheduler = URW(Random(3), {1: 0, 2: 0, 3: 4})

    assert {scheduler.next_turn(Moment([1, 2]))[0] for _ in range(60)} == {1, 2}  # else p = 2 ** -59


def test_lengths_count_the_point_a_task_stood_at():
    """A preempted segment passed its points and, when the task went on, the one it stood at."""
    executed = Executed(Schedule((Segment(1, 2), Segment(2, None), Segment(1, None))), (2, 4, 3))

    assert lengths_of(executed) == {1: 6, 2: 4}


def test_same_seed_same_answers():
    """What a strategy hands out depends on its seed, the index and what it has learned alone."""
    tasks = {0: [write("x"), read("y"), write("y")], 1: [read("x"), write("y")], 2: [write("x")]}

    def orders(make: type) -> list[str]:
        strategy, seen = make(5), []
        for index in range(20):
            seen.append(order_of(strategy.scheduler(index), tasks))
            strategy.learn(Run(5, Executed(Schedule((Segment(0, None),)), (3,))))
        return seen

    for make in (POSStrategy, SURWStrategy, URWStrategy):
        assert orders(make) == orders(make)
        assert len(set(orders(make))) > 3


def test_long_runs_are_not_asked_before_each_operation():
    """The default strategy sees operations in most schedules that leave points out, and in no long one."""
    strategies = make_strategies("auto", 7)

    assert sum(strategies.usual.sees_operations(index) for index in range(DPOR_FIRST + 11)) == DPOR_FIRST + 9
    assert strategies.focused is not None
    assert sum(strategies.focused.sees_operations(index) for index in range(10)) == 8
    assert not any(strategies.long.sees_operations(index) for index in range(8))
    assert not any(strategies.without_operations().usual.sees_operations(index) for index in range(8))


def test_surw_counts_steps_that_nobody_else_could_have_taken():
    """One of two tasks takes its only step while the other is blocked: then the next step is surely the other's."""
    strategy = SURWStrategy(seed=1)
    order_of(strategy.scheduler(0), {0: [write("x")], 1: [write("x")]})
    strategy.learn(Run(2, Executed(Schedule((), ()), ())))

    for number in range(1, 30):
        scheduler = strategy.scheduler(number)
        assert scheduler.next_turn(Moment([0], pending={0: write("x")}))[0] == 0
        assert scheduler.next_turn(Moment([0, 1], pending={0: write("x"), 1: write("x")}))[0] == 1


def test_surw_draws_no_resource_whose_order_is_that_of_a_lock():
    """What is only touched with the lock held is never drawn, once its touches are known; the lock is."""
    lock, x = Operation("acquire", 7, None, True, ("lock", 7)), write("x")
    tasks = {number: [lock, x, lock._replace(kind="release")] for number in (0, 1)}
    strategy = SURWStrategy(seed=3)
    order_of(strategy.scheduler(0), tasks)
    strategy.learn(Run(2, Executed(Schedule((), ()), ())))

    drawn = {strategy.scheduler(number)._interesting for number in range(1, 40)}

    assert drawn == {("lock", 7)}


def test_surw_draws_what_one_task_touches_without_the_lock():
    """Then its order is not that of the lock."""
    lock, x = Operation("acquire", 7, None, True, ("lock", 7)), write("x")
    strategy = SURWStrategy(seed=3)
    order_of(strategy.scheduler(0), {0: [lock, x, lock._replace(kind="release")], 1: [x, lock]})
    strategy.learn(Run(2, Executed(Schedule((), ()), ())))

    drawn = {strategy.scheduler(number)._interesting for number in range(1, 40)}

    assert drawn == {("lock", 7), x.family}  # else p < 39 times the smaller share to the power of 38
