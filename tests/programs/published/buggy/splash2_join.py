"""The main thread counts the finished threads without having waited for them."""

import threading

import pytest


class Shared:
    index = 0
    finished = 0


@pytest.mark.concurrency
def test_splash2_join(concur):
    lock, shared, sums = threading.Lock(), Shared(), [0, 0]

    def slave():
        with lock:
            me = shared.index
            shared.index += 1
        sums[me] += me
        with lock:
            shared.finished += 1

    def main():
        slave()
        assert shared.finished == 2

    concur.run(slave, main)
