"""The lock guards the read and the write of an increment one by one, so an update between them is lost."""

import threading

import pytest


class Counter:
    def __init__(self):
        self.lock = threading.Lock()
        self.value = 0

    def increment(self):
        with self.lock:
            value = self.value
        with self.lock:
            self.value = value + 1


@pytest.mark.concurrency
def test_locked_counter(concur):
    counter = Counter()

    concur.run(counter.increment, counter.increment)

    assert counter.value == 2
