"""A generator advanced by two threads at once raises `ValueError: generator already executing`."""

import pytest


class Tickets:
    def __init__(self):
        self.issued = 0
        self.numbers = self._count()

    def _count(self):
        while True:
            self.issued += 1
            yield self.issued

    def draw(self):
        return next(self.numbers)


@pytest.mark.concurrency
def test_shared_generator(concur):
    tickets, drawn = Tickets(), []

    def visit():
        drawn.append(tickets.draw())

    concur.run(visit, visit)

    assert sorted(drawn) == [1, 2]
