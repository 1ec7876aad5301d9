"""The assertion allows the full sum, which the check sees when it runs last."""

import threading

import pytest


class Shared:
    data = 0


@pytest.mark.concurrency
def test_lazy01(concur):
    shared, lock = Shared(), threading.Lock()

    def add_one():
        with lock:
            shared.data += 1

    def add_two():
        with lock:
            shared.data += 2

    def check():
        with lock:
            assert shared.data <= 3

    concur.run(add_one, add_two, check)
