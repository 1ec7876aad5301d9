"""Two items are there at the start, so the consumer has gone before the producer can put its second one."""

import threading

import pytest

ROUNDS = 2


class Shared:
    num = 2


@pytest.mark.concurrency
def test_sync02(concur):
    shared, lock = Shared(), threading.Lock()
    empty, full = threading.Condition(lock), threading.Condition(lock)

    def produce():
        for _ in range(ROUNDS):
            with lock:
                while shared.num > 0:
                    empty.wait()
                shared.num += 1
                full.notify()

    def consume():
        for _ in range(ROUNDS):
            with lock:
                while shared.num == 0:
                    full.wait()
                shared.num -= 1
                empty.notify()

    concur.run(produce, consume)
