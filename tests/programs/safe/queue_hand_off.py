"""A queue of one place keeps the order of its only producer up to the sentinel."""

import queue

import pytest

END = object()


@pytest.mark.concurrency
def test_queue_hand_off(concur):
    channel = queue.Queue(maxsize=1)
    received = []

    def produce():
        for item in range(3):
            channel.put(item)
        channel.put(END)

    def consume():
        while (item := channel.get()) is not END:
            received.append(item)

    concur.run(produce, consume)

    assert received == [0, 1, 2]
    assert channel.empty()
