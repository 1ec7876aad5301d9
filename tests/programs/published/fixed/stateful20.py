"""Neither fives nor sums of the first numbers ever leave the remainder two when divided by five, from any thread."""

import threading

import pytest

ROUNDS = 20


class Shared:
    data = 10


@pytest.mark.concurrency
def test_stateful20(concur):
    shared, lock = Shared(), threading.Lock()

    def add_fives():
        for _ in range(ROUNDS):
            with lock:
                shared.data += 5

    def add_rounds():
        for i in range(ROUNDS):
            with lock:
                shared.data += i
                assert shared.data % 5 != 2

    concur.run(add_fives, add_rounds, add_fives)
