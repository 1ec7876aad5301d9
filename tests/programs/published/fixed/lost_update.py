"""Two threads increment a number under a lock, so no update is lost."""

import threading

import pytest


class Counter:
    n = 0


@pytest.mark.concurrency
def test_lost_update(concur):
    counter, lock = Counter(), threading.Lock()

    def increment():
        with lock:
            counter.n += 1

    concur.run(increment, increment)

    assert counter.n == 2
