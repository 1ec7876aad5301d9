"""Every change is a single sum made under the lock, so the order of changes does not matter."""

import threading

import pytest


class Shared:
    data1 = 10
    data2 = 10


@pytest.mark.concurrency
def test_stateful01(concur):
    shared, lock = Shared(), threading.Lock()

    def increment():
        with lock:
            shared.data1 += 1
        with lock:
            shared.data2 += 1

    def shift():
        with lock:
            shared.data1 += 5
        with lock:
            shared.data2 -= 6

    concur.run(increment, shift)

    assert shared.data1 == 16
    assert shared.data2 == 5
