"""A `SimpleQueue` delivers what two producers put, each producer's items in order."""

from queue import SimpleQueue

import pytest


@pytest.mark.concurrency
def test_simple_queue(concur):
    channel = SimpleQueue()
    received = []

    def produce(name):
        channel.put((name, 1))
        channel.put((name, 2))

    def consume():
        received.extend(channel.get() for _ in range(4))

    concur.run(consume, lambda: produce("left"), lambda: produce("right"))

    for name in ("left", "right"):
        assert [number for sender, number in received if sender == name] == [1, 2]
