"""The number is incremented under one lock by all threads."""

import threading

import pytest


class Shared:
    data = 0


@pytest.mark.concurrency
@pytest.mark.parametrize("others", [7, 3], ids=["wronglock", "wronglock_3"])
def test_wronglock(concur, others):
    shared, data_lock = Shared(), threading.Lock()

    def increment_checked():
        with data_lock:
            before = shared.data
            shared.data += 1
            assert shared.data == before + 1

    def increment():
        with data_lock:
            shared.data += 1

    concur.run(increment_checked, *[increment] * others)
