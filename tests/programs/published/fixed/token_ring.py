"""Each thread waits until the one before it has passed the token on."""

import threading

import pytest


class Ring:
    def __init__(self):
        self.x1, self.x2, self.x3 = 1, 2, 1
        self.flag1 = self.flag2 = self.flag3 = False


@pytest.mark.concurrency
def test_token_ring(concur):
    ring, passed = Ring(), threading.Condition(threading.Lock())

    def first():
        with passed:
            ring.x1 = (ring.x3 + 1) % 4
            ring.flag1 = True
            passed.notify_all()

    def second():
        with passed:
            while not ring.flag1:
                passed.wait()
            ring.x2 = ring.x1
            ring.flag2 = True
            passed.notify_all()

    def third():
        with passed:
            while not ring.flag2:
                passed.wait()
            ring.x3 = ring.x2
            ring.flag3 = True

    def check():
        with passed:
            if ring.flag1 and ring.flag2 and ring.flag3:
                assert ring.x1 == ring.x2 and ring.x2 == ring.x3

    concur.run(first, second, third, check)
