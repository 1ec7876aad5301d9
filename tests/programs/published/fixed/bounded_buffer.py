"""Whoever has to wait again is counted again."""

import threading

import pytest

CAPACITY = 1


class Buffer:
    def __init__(self):
        self.mutex = threading.Lock()
        self.not_empty = threading.Condition(self.mutex)
        self.not_full = threading.Condition(self.mutex)
        self.items = []
        self.p_wait = 0
        self.c_wait = 0

    def put(self, item):
        with self.mutex:
            while len(self.items) == CAPACITY:
                self.p_wait += 1
                self.not_full.wait()
            self.items.append(item)
            if self.c_wait > 0:
                self.c_wait -= 1
                self.not_empty.notify()

    def get(self):
        with self.mutex:
            while len(self.items) == 0:
                self.c_wait += 1
                self.not_empty.wait()
            item = self.items.pop(0)
            if self.p_wait > 0:
                self.p_wait -= 1
                self.not_full.notify()
            return item


@pytest.mark.concurrency
def test_bounded_buffer(concur):
    buffer, received = Buffer(), [[], []]

    def produce(first):
        for item in (first, first + 1):
            buffer.put(item)

    def consume(mine):
        for _ in range(2):
            mine.append(buffer.get())

    concur.run(lambda: produce(1), lambda: produce(3), lambda: consume(received[0]), lambda: consume(received[1]))

    assert sorted(received[0] + received[1]) == [1, 2, 3, 4]
