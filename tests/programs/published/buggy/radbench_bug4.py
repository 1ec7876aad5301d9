"""Two threads create the monitor each, and one leaves another monitor than it entered."""

import threading

import pytest


class Monitor:
    def __init__(self):
        self.lock = threading.Lock()
        self.owner = None

    def enter(self, me):
        self.lock.acquire()
        self.owner = me

    def leave(self, me):
        assert self.owner == me
        self.owner = None
        self.lock.release()


class Library:
    def __init__(self):
        self.monitor = None
        self.calls = 0

    def localtime(self, me):
        if self.monitor is None:
            self.monitor = Monitor()
        self.monitor.enter(me)
        self.calls += 1
        self.monitor.leave(me)


@pytest.mark.concurrency
def test_radbench_bug4(concur):
    library = Library()

    concur.run(lambda: library.localtime("first"), lambda: library.localtime("second"))
