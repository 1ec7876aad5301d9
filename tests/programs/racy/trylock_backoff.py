"""A task that failed to get the lock twice goes on without it."""

import threading

import pytest


class Tally:
    value = 0


@pytest.mark.concurrency
def test_trylock_backoff(concur):
    lock = threading.Lock()
    tally = Tally()

    def count():
        owned = lock.acquire(blocking=False) or lock.acquire(blocking=False)
        try:
            tally.value += 1
        finally:
            if owned:
                lock.release()

    concur.run(count, count)

    assert tally.value == 2
