"""A semaphore of two permits is no mutex."""

import threading

import pytest


class Tally:
    value = 0


@pytest.mark.concurrency
def test_semaphore_mutex(concur):
    permits = threading.Semaphore(2)
    tally = Tally()

    def count():
        with permits:
            tally.value += 1

    concur.run(count, count, count)

    assert tally.value == 3
