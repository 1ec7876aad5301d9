"""Threads of a subclass share a total in which each holds a lock of its own."""

import threading

import pytest


class Total:
    value = 0


class Adder(threading.Thread):
    def __init__(self, numbers, total):
        super().__init__()
        self.lock = threading.Lock()
        self.numbers = numbers
        self.total = total

    def run(self):
        with self.lock:
            self.total.value += sum(self.numbers)


@pytest.mark.concurrency
def test_thread_subclass():
    total = Total()
    adders = [Adder([1, 2], total), Adder([3], total)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()

    assert total.value == 6
