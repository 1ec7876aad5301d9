"""A semaphore of one permit protects a counter like a lock."""

import threading

import pytest


class Tally:
    value = 0


@pytest.mark.concurrency
def test_semaphore_mutex(concur):
    permits = threading.Semaphore(1)
    tally = Tally()

    def count():
        with permits:
            tally.value += 1

    concur.run(count, count, count)

    assert tally.value == 3
