"""The consumer forgets to count down, so the producer waits for ever."""

import threading

import pytest


class Shared:
    num = 1


@pytest.mark.concurrency
def test_sync01(concur):
    shared, lock = Shared(), threading.Lock()
    empty, full = threading.Condition(lock), threading.Condition(lock)

    def produce():
        with lock:
            while shared.num > 0:
                empty.wait()
            shared.num += 1
            full.notify()

    def consume():
        with lock:
            while shared.num == 0:
                full.wait()
            empty.notify()

    concur.run(produce, consume)
