"""A job seen in the deque is gone when its owner, without a lock, comes to take it."""

from collections import deque

import pytest


class Jobs:
    def __init__(self, *jobs):
        self.waiting = deque(jobs)

    def take(self):
        return self.waiting.pop() if self.waiting else None

    def steal(self):
        return self.waiting.popleft() if self.waiting else None


@pytest.mark.concurrency
def test_work_stealing(concur):
    left, right, done = Jobs(1), Jobs(2), []

    def work(mine, other):
        while job := mine.take() or other.steal():
            done.append(job)

    concur.run(lambda: work(left, right), lambda: work(right, left))

    assert sorted(done) == [1, 2]
