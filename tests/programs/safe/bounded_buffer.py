"""A buffer of one place, guarded by a condition that is tested in a loop, hands over every item once."""

import threading

import pytest


class Buffer:
    def __init__(self, capacity):
        self.changed = threading.Condition()
        self.items = []
        self.capacity = capacity

    def put(self, item):
        with self.changed:
            while len(self.items) >= self.capacity:
                self.changed.wait()
            self.items.append(item)
            self.changed.notify_all()

    def get(self):
        with self.changed:
            while not self.items:
                self.changed.wait()
            self.changed.notify_all()
            return self.items.pop(0)


@pytest.mark.concurrency
def test_bounded_buffer(concur):
    buffer, received = Buffer(capacity=1), []

    def produce():
        for item in range(3):
            buffer.put(item)

    concur.run(lambda: received.append(buffer.get()), produce, lambda: received.extend([buffer.get(), buffer.get()]))

    assert sorted(received) == [0, 1, 2]
