"""A pool maps in the order of its input while its workers add to one locked total."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


class Total:
    def __init__(self):
        self.lock = threading.Lock()
        self.value = 0

    def add(self, number):
        with self.lock:
            self.value += number
        return number * number


@pytest.mark.concurrency
def test_pool_map():
    total = Total()

    with ThreadPoolExecutor(max_workers=2) as pool:
        squares = list(pool.map(total.add, [1, 2, 3]))

    assert squares == [1, 4, 9]
    assert total.value == 6
