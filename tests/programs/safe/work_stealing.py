"""Workers that take from their own end and steal from the other, under a lock, do each job once."""

import threading
from collections import deque

import pytest


class Jobs:
    def __init__(self, *jobs):
        self.lock = threading.Lock()
        self.waiting = deque(jobs)

    def take(self):
        with self.lock:
            return self.waiting.pop() if self.waiting else None

    def steal(self):
        with self.lock:
            return self.waiting.popleft() if self.waiting else None


@pytest.mark.concurrency
def test_work_stealing(concur):
    left, right, done = Jobs(1, 2), Jobs(3), []

    def work(mine, other):
        while job := mine.take() or other.steal():
            done.append(job)

    concur.run(lambda: work(left, right), lambda: work(right, left))

    assert sorted(done) == [1, 2, 3]
