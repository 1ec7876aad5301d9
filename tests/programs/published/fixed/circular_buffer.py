"""Sender and receiver number the items by those really sent and received, not by rounds of their loops."""

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
        item = 0
        for _ in range(ITEMS):
            with lock:
                if ring.send:
                    put(item)
                    item += 1
                    ring.send = False
                    ring.receive = True

    def receiver():
        item = 0
        for _ in range(ITEMS):
            with lock:
                if ring.receive:
                    assert take() == item
                    item += 1
                    ring.receive = False
                    ring.send = True

    concur.run(sender, receiver)
