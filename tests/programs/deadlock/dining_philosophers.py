"""Every philosopher holds the left fork and waits for the right one."""

import threading
from functools import partial

import pytest


@pytest.mark.concurrency
def test_dining_philosophers(concur):
    forks = [threading.Lock() for _ in range(3)]
    meals = [0, 0, 0]

    def dine(seat):
        with forks[seat], forks[(seat + 1) % len(forks)]:
            meals[seat] += 1

    concur.run(*(partial(dine, seat) for seat in range(len(forks))))

    assert meals == [1, 1, 1]
