"""A task that fails to try the lock backs off a few times and then queues for it."""

import threading
import time

import pytest


class Tally:
    value = 0


@pytest.mark.concurrency
def test_trylock_backoff(concur):
    lock = threading.Lock()
    tally = Tally()

    def count():
        for pause in (0.001, 0.002):
            if lock.acquire(blocking=False):
                break
            time.sleep(pause)
        else:
            lock.acquire()
        try:
            tally.value += 1
        finally:
            lock.release()

    concur.run(count, count, count)

    assert tally.value == 3
