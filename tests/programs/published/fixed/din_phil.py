"""The assertion allows that all philosophers have eaten, and every atomic part is ended."""

import threading
from functools import partial

import pytest


class Table:
    fed = 0


@pytest.mark.concurrency
@pytest.mark.parametrize(
    "seats", [2, 3, 4, 5, 6, 7], ids=["din_phil2", "din_phil3", "din_phil4", "din_phil5", "din_phil6", "din_phil7"]
)
def test_din_phil(concur, seats):
    table, atomic = Table(), threading.Lock()
    forks = [threading.Lock() for _ in range(seats)]

    def count():
        table.fed += 1
        assert table.fed <= seats

    def count_locked():
        with atomic:
            count()

    def count_paired():
        atomic.acquire()
        table.fed += 1
        assert table.fed <= seats
        atomic.release()

    count_fed = {5: count_locked, 6: count_locked, 7: count_paired}.get(seats, count)

    def dine(right, left):
        with atomic, right, left:
            pass
        count_fed()

    concur.run(*[partial(dine, forks[(seat + 1) % seats], forks[seat]) for seat in range(seats)])
