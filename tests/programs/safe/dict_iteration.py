"""A registry iterated and extended under one lock keeps its size while it is read."""

import threading

import pytest


class Registry:
    def __init__(self):
        self.lock = threading.Lock()
        self.prices = {"tea": 2, "milk": 1}

    def add(self, name, price):
        with self.lock:
            self.prices[name] = price

    def total(self):
        with self.lock:
            return sum(self.prices[name] for name in self.prices)


@pytest.mark.concurrency
def test_dict_iteration(concur):
    registry, totals = Registry(), []

    concur.run(lambda: totals.append(registry.total()), lambda: registry.add("jam", 4))

    assert totals in ([3], [7])
    assert registry.total() == 7
