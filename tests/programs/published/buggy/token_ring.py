"""The token is expected to go round in order, but nothing makes the threads run in that order."""

import threading

import pytest


class Ring:
    def __init__(self):
        self.x1, self.x2, self.x3 = 1, 2, 1
        self.flag1 = self.flag2 = self.flag3 = False


@pytest.mark.concurrency
def test_token_ring(concur):
    ring, lock = Ring(), threading.Lock()

    def first():
        with lock:
            ring.x1 = (ring.x3 + 1) % 4
            ring.flag1 = True

    def second():
        with lock:
            ring.x2 = ring.x1
            ring.flag2 = True

    def third():
        with lock:
            ring.x3 = ring.x2
            ring.flag3 = True

    def check():
        with lock:
            if ring.flag1 and ring.flag2 and ring.flag3:
                assert ring.x1 == ring.x2 and ring.x2 == ring.x3

    concur.run(first, second, third, check)
