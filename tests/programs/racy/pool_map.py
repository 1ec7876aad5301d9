"""Workers of a pool add to a shared total without a lock."""

from concurrent.futures import ThreadPoolExecutor

import pytest


class Total:
    def __init__(self):
        self.value = 0

    def add(self, number):
        self.value += number
        return number * number


@pytest.mark.concurrency
def test_pool_map():
    total = Total()

    with ThreadPoolExecutor(max_workers=2) as pool:
        squares = list(pool.map(total.add, [1, 2, 3]))

    assert squares == [1, 4, 9]
    assert total.value == 6
