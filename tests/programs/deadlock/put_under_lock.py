"""Each end of a queue of one place waits for the other end while it holds the lock that the other end needs."""

import queue
import threading

import pytest


@pytest.mark.concurrency
def test_put_under_lock(concur):
    channel = queue.Queue(maxsize=1)
    lock = threading.Lock()
    received = []

    def produce():
        for item in range(2):
            with lock:
                channel.put(item)

    def consume():
        for _ in range(2):
            with lock:
                received.append(channel.get())

    concur.run(produce, consume)

    assert received == [0, 1]
