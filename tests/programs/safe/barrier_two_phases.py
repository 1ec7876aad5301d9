"""Two barriers a round separate reading all slots from writing one's own."""

import threading
from functools import partial

import pytest


@pytest.mark.concurrency
def test_barrier_two_phases(concur):
    slots = [1, 2, 3]
    barrier = threading.Barrier(len(slots))

    def work(index):
        for _ in range(2):
            total = sum(slots)
            barrier.wait()
            slots[index] = total
            barrier.wait()

    concur.run(*(partial(work, index) for index in range(len(slots))))

    assert slots == [18, 18, 18]
