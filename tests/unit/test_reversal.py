"""Race reversal on made-up tasks: what it tries, and how soon."""

from __future__ import annotations

from itertools import combinations, pairwise

from test_operation_strategies import order_of, read, write

from pytest_concur.strategies.reversal import ReversalStrategy


def orders(tasks, most=1_000):
    """Run all schedules there are; return the orders in which they ran, a letter for the task of each operation."""
    strategy, seen = ReversalStrategy(), []
    while not strategy.is_exhausted and len(seen) < most:
        seen.append(order_of(strategy.scheduler(len(seen)), tasks))
        strategy.learn(object())
    return seen


def positions(order, tasks, place):
    """Return who touched ``place``, in order."""
    steps = {"abcdef"[task]: iter(operations) for task, operations in tasks.items()}
    return "".join(task for task in order if next(steps[task]).resource == place)


def private(task, count):
    return [write(f"of {task}")] * count


def test_first_one_after_the_other_then_backwards():
    """The first two schedules do not switch, as a bug may need no switch at all."""
    tasks = {task: private(task, 2) for task in range(3)}

    assert orders(tasks) == ["aabbcc", "ccbbaa"]


def test_switches_only_where_it_matters():
    """A write between two reads, with a hundred steps around each: a few schedules show it, not hundreds."""
    tasks = {
        0: [*private(0, 100), read("x"), *private(0, 100), read("x"), *private(0, 100)],
        1: [*private(1, 100), write("x"), *private(1, 100)],
    }

    seen = [positions(order, tasks, "x") for order in orders(tasks)]

    assert set(seen) == {"aab", "aba", "baa"}
    assert seen.index("aba") < 6
    assert len(seen) < 20


def test_every_order_of_conflicting_operations_is_tried():
    """Three writers of two writes each: all 90 interleavings, by brute force, as each gives another order."""
    tasks = {task: [write("x")] * 2 for task in range(3)}
    wanted = {
        "".join("a" if i in first else "b" if i in second else "c" for i in range(6))
        for first in combinations(range(6), 2)
        for second in combinations(sorted(set(range(6)) - set(first)), 2)
    }

    assert len(wanted) == 90
    assert set(orders(tasks)) == wanted


def test_few_switches_come_first():
    """Schedules switch little at first, and more and more."""
    tasks = {0: [write("x"), read("y")] * 3, 1: [read("x"), write("y")] * 3}

    switches = [sum(one != other for one, other in pairwise(order)) for order in orders(tasks)]

    assert switches[:2] == [1, 1]
    assert max(switches[:8]) <= 3
    assert sum(switches[:20]) / 20 < sum(switches[-20:]) / 20


def test_a_repeated_kind_of_race_does_not_crowd_out_others():
    """Fifty rounds of one race, and a single one of another kind: among the first, one stops just before that."""
    tasks = {0: [*[write("round")] * 50, write("once"), *private(0, 3)], 1: [read("once"), *[read("round")] * 50]}

    assert any(order.index("b") == 50 for order in orders(tasks, most=12))


def test_the_same_every_time():
    """No chance: two searches are alike."""
    tasks = {0: [write("x"), read("y"), write("y")], 1: [read("x"), write("y")], 2: [write("x")]}

    assert orders(tasks) == orders(tasks)


def test_nothing_is_claimed():
    """Unlike other searches that end, this one proves nothing."""
    strategy = ReversalStrategy()
    while not strategy.is_exhausted:
        order_of(strategy.scheduler(0), {0: [write("x")], 1: [write("x")]})
        strategy.learn(object())

    assert strategy.trouble is not None
