"""A task that was counted never counts itself off, and the stopper waits for it with the lock held."""

import threading

import pytest


class WaitGroup:
    def __init__(self):
        self.changed = threading.Condition()
        self.count = 0

    def add(self, number):
        with self.changed:
            self.count += number
            if self.count == 0:
                self.changed.notify_all()

    def wait(self):
        with self.changed:
            while self.count > 0:
                self.changed.wait()


class Stopper:
    def __init__(self):
        self.mu = threading.Lock()
        self.drain = WaitGroup()
        self.draining = 0
        self.closed = False

    def start_task(self):
        if self.draining == 0:
            with self.mu:
                self.drain.add(1)

    def stop(self):
        with self.mu:
            self.draining = 1
            self.drain.wait()
            self.closed = True


@pytest.mark.concurrency
def test_goker_cockroach_1055(concur):
    stopper = Stopper()

    concur.run(stopper.start_task, stopper.start_task, stopper.stop)

    assert stopper.closed
