"""Sender and receiver number the items by rounds of their loops, also by those that were skipped."""

import threading

import pytest

SIZE = 10
ITEMS = 7
ERROR = -1


class Ring:
    first = 0
    next = 0
    send = True
    receive = False


@pytest.mark.concurrency
def test_circular_buffer(concur):
    ring, lock = Ring(), threading.Lock()
    buffer = [0] * SIZE

    def put(item):
        buffer[ring.next] = item
        ring.next = (ring.next + 1) % SIZE

    def take():
        if ring.next > 0 and ring.first < SIZE:
            place = ring.first
            ring.first = place + 1
            return buffer[place]
        return ERROR

    def sender():
        for item in range(ITEMS):
            with lock:
                if ring.send:
                    put(item)
                    ring.send = False
                    ring.receive = True

    def receiver():
        for item in range(ITEMS):
            with lock:
                if ring.receive:
                    assert take() == item
                    ring.receive = False
                    ring.send = True

    concur.run(sender, receiver)
