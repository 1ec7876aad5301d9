"""The systematic strategies on made-up tasks, lists of operations: no threads."""

from __future__ import annotations

from itertools import permutations

from pytest_concur.engine.record import Record
from pytest_concur.model.operation import Operation
from pytest_concur.model.turn import Moment
from pytest_concur.strategies import make_strategies
from pytest_concur.strategies.bounded import BoundedStrategy, delays, preemptions
from pytest_concur.strategies.dpor import DPOR, DPORStrategy
from pytest_concur.strategies.portfolio import Portfolio
from pytest_concur.strategies.samplers import POSStrategy
from pytest_concur.strategies.strategy import Strategy

Tasks = list[list[Operation]]
ENOUGH = 5_000


def write(place: str) -> Operation:
    return Operation("attribute", place, None, True, place)


def read(place: str) -> Operation:
    return Operation("attribute", place, None, False, place)


def all_orders(strategy: Strategy, tasks: Tasks) -> list[tuple[int, ...]]:
    """Return the order of tasks in each schedule until the strategy is through."""
    orders = []
    for index in range(ENOUGH):
        scheduler = strategy.scheduler(index)
        done, order, last = [0] * len(tasks), [], None
        while True:
            enabled = [task for task, operations in enumerate(tasks) if done[task] < len(operations)]
            if not enabled:
                break
            pending = {task: tasks[task][done[task]] for task in enabled}
            current = last if last in enabled else None
            task, _ = scheduler.next_turn(Moment(enabled, current, contested=len(order), pending=pending))
            done[task] += 1
            order.append(task)
            last = task
        orders.append(tuple(order))
        strategy.learn(Record())
        if strategy.is_exhausted:
            return orders
    raise AssertionError("not through")


def kept_order(order: tuple[int, ...], tasks: Tasks) -> tuple[tuple[int, ...], ...]:
    """Return what distinguishes orders that can differ: for each place who touches it, reads in a row sorted."""
    done = [0] * len(tasks)
    by_place: dict[object, list[list[int]]] = {}
    for task in order:
        operation = tasks[task][done[task]]
        done[task] += 1
        groups = by_place.setdefault(operation.resource, [])
        if operation.writes or not groups or groups[-1][0] < 0:
            groups.append([-1, task] if operation.writes else [0, task])
        else:
            groups[-1].append(task)
    return tuple(tuple(n for group in groups for n in sorted(group)) for _, groups in sorted(by_place.items()))  # type: ignore[type-var]


TWO_BY_TWO: Tasks = [[write("a"), write("b")], [write("b"), write("a")]]
READERS: Tasks = [[write("a")], [read("a")], [read("a"), read("b")]]
APART: Tasks = [[write("a")] * 3, [write("b")] * 3, [write("c")] * 3]


def every_order(tasks: Tasks) -> set[tuple[int, ...]]:
    return set(permutations([task for task, operations in enumerate(tasks) for _ in operations]))


def test_dpor_shows_each_order_of_what_depends_once() -> None:
    """Every order that can make a difference is run, none twice, and independent tasks need one schedule."""
    for tasks in (TWO_BY_TWO, READERS):
        strategy = DPORStrategy()
        shown = [kept_order(order, tasks) for order in all_orders(strategy, tasks)]
        assert set(shown) == {kept_order(order, tasks) for order in every_order(tasks)}
        assert len(shown) == len(set(shown))
        assert strategy.trouble is None
    assert len(all_orders(DPORStrategy(), APART)) == 1


def test_bounding_runs_each_interleaving_once_cheapest_first() -> None:
    """Both costs go through all interleavings, none twice, and begin with the one without a deviation."""
    for cost in (delays, preemptions):
        orders = all_orders(BoundedStrategy(cost), TWO_BY_TWO)
        assert sorted(orders) == sorted(every_order(TWO_BY_TWO))
        assert orders[0] == (0, 0, 1, 1)


def test_preemption_bounding_pays_for_leaving_a_task_only() -> None:
    """All schedules without a preemption come first: the tasks one after the other, in every order."""
    tasks: Tasks = [[write("a")] * 2] * 3
    orders = all_orders(BoundedStrategy(preemptions), tasks)

    assert set(orders[:6]) == {tuple(task for task in order for _ in range(2)) for order in permutations(range(3))}


def test_a_part_that_is_through_ends_a_portfolio() -> None:
    """If a systematic part has seen all, nothing is left for the others to show."""
    portfolio = Portfolio(DPORStrategy(), POSStrategy(1), first=[0])

    assert len(all_orders(portfolio, APART)) == 1
    assert portfolio.trouble is None


def test_a_task_that_only_reads_is_not_followed_for_ever() -> None:
    """A task that reads again and again is taken to wait for another one, and nothing is claimed to be complete."""
    strategy = DPORStrategy()
    scheduler = strategy.scheduler(0)
    turns = [scheduler.next_turn(Moment([0, 1], 0, pending={0: read("flag"), 1: write("flag")}))[0] for _ in range(100)]

    assert 1 in turns
    strategy.learn(Record())
    assert strategy.trouble is not None


def test_a_task_that_reads_much_is_not_taken_to_wait() -> None:
    """A hundred reads in a row, of one thing each: nobody waits in a loop, and the search is complete."""
    strategy = DPORStrategy()
    tasks = [[*(read(f"item {number}") for number in range(100)), write("x")], [write("x")]]

    assert len(all_orders(strategy, tasks)) == 2
    assert strategy.trouble is None


def test_long_runs_are_not_searched_systematically() -> None:
    """Where runs are long, and where points are left out, ``auto`` samples only."""
    strategies = make_strategies("auto", 7)

    assert not isinstance(strategies.long, DPORStrategy)
    assert strategies.focused is not None
    assert not any(isinstance(strategies.focused.scheduler(index), DPOR) for index in range(50))
