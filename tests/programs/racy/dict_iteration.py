"""A dict that grows while another thread iterates over it breaks the iteration."""

import pytest


class Registry:
    def __init__(self):
        self.prices = {"tea": 2, "milk": 1}

    def add(self, name, price):
        self.prices[name] = price

    def total(self):
        return sum(self.prices[name] for name in self.prices)


@pytest.mark.concurrency
def test_dict_iteration(concur):
    registry, totals = Registry(), []

    concur.run(lambda: totals.append(registry.total()), lambda: registry.add("jam", 4))

    assert totals in ([3], [7])
    assert registry.total() == 7
