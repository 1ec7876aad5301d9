"""A counter whose every increment holds the lock loses none."""

import threading

import pytest


class Counter:
    def __init__(self):
        self.lock = threading.Lock()
        self.value = 0

    def increment(self):
        with self.lock:
            self.value += 1


@pytest.mark.concurrency
def test_locked_counter(concur):
    counter = Counter()

    def count_twice():
        counter.increment()
        counter.increment()

    concur.run(count_twice, count_twice, count_twice)

    assert counter.value == 6
