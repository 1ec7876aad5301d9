"""Threads of a subclass keep their own results and add to a shared total under its lock."""

import threading

import pytest


class Total:
    def __init__(self):
        self.lock = threading.Lock()
        self.value = 0


class Adder(threading.Thread):
    def __init__(self, numbers, total):
        super().__init__(name=f"adder of {len(numbers)}")
        self.numbers = numbers
        self.total = total

    def run(self):
        self.result = sum(self.numbers)
        with self.total.lock:
            self.total.value += self.result


@pytest.mark.concurrency
def test_thread_subclass():
    total = Total()
    adders = [Adder([1, 2], total), Adder([3], total)]
    for adder in adders:
        adder.start()
    for adder in adders:
        adder.join()

    assert [adder.result for adder in adders] == [3, 3]
    assert total.value == 6
