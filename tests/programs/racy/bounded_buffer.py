"""A consumer that tests its condition once finds the buffer empty when another one slipped in before it woke."""

import threading

import pytest


class Buffer:
    def __init__(self):
        self.filled = threading.Condition()
        self.items = []

    def put(self, item):
        with self.filled:
            self.items.append(item)
            self.filled.notify()

    def get(self):
        with self.filled:
            if not self.items:
                self.filled.wait()
            return self.items.pop(0)


@pytest.mark.concurrency
def test_bounded_buffer(concur):
    buffer, received = Buffer(), []

    def produce():
        buffer.put(1)
        buffer.put(2)

    def consume():
        received.append(buffer.get())

    concur.run(consume, produce, consume)

    assert sorted(received) == [1, 2]
