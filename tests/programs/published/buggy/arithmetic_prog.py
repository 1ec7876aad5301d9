"""The assertion denies the total that a bounded producer and its consumer always reach."""

import threading

import pytest

ITEMS = 3


class Shop:
    num = 0
    total = 0
    finished = False


@pytest.mark.concurrency
def test_arithmetic_prog(concur):
    shop, lock = Shop(), threading.Lock()
    empty, full = threading.Condition(lock), threading.Condition(lock)

    def produce():
        for _ in range(ITEMS):
            with lock:
                while shop.num > 0:
                    empty.wait()
                shop.num += 1
                full.notify()

    def consume():
        for item in range(ITEMS):
            with lock:
                while shop.num == 0:
                    full.wait()
                shop.total += item
                shop.num -= 1
                empty.notify()
        shop.total += ITEMS
        shop.finished = True

    concur.run(produce, consume)

    if shop.finished:
        assert shop.total != ITEMS * (ITEMS + 1) // 2
