"""A bounded semaphore admits at most two of three tasks together."""

import threading

import pytest


class Room:
    def __init__(self, places):
        self.door = threading.BoundedSemaphore(places)
        self.lock = threading.Lock()
        self.inside = self.peak = 0

    def visit(self):
        with self.door:
            with self.lock:
                self.inside += 1
                self.peak = max(self.peak, self.inside)
            with self.lock:
                self.inside -= 1


@pytest.mark.concurrency
def test_semaphore_limit(concur):
    room = Room(places=2)

    concur.run(room.visit, room.visit, room.visit)

    assert 1 <= room.peak <= 2
    assert room.inside == 0
