"""A generator advanced under a lock serves several threads."""

import threading

import pytest


class Tickets:
    def __init__(self):
        self.lock = threading.Lock()
        self.issued = 0
        self.numbers = self._count()

    def _count(self):
        while True:
            self.issued += 1
            yield self.issued

    def draw(self):
        with self.lock:
            return next(self.numbers)


@pytest.mark.concurrency
def test_shared_generator(concur):
    tickets, drawn = Tickets(), []

    def visit():
        drawn.append(tickets.draw())

    concur.run(visit, visit, visit)

    assert sorted(drawn) == [1, 2, 3]
