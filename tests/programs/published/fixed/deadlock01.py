"""Two threads take the same two locks in the same order."""

import threading

import pytest


class Counter:
    value = 0


@pytest.mark.concurrency
def test_deadlock01(concur):
    counter, a, b = Counter(), threading.Lock(), threading.Lock()

    def up():
        with a, b:
            counter.value += 1

    def down():
        with a, b:
            counter.value -= 1

    concur.run(up, down)
