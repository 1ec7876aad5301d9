"""A latch built on a condition opens after the last of its tasks has counted down."""

import threading

import pytest


class Latch:
    def __init__(self, count):
        self.count = count
        self.changed = threading.Condition(threading.Lock())

    def count_down(self):
        with self.changed:
            self.count -= 1
            if self.count == 0:
                self.changed.notify_all()

    def wait(self):
        with self.changed:
            while self.count:
                self.changed.wait()


@pytest.mark.concurrency
def test_countdown_latch(concur):
    latch, finished, seen = Latch(2), [], []

    def work():
        finished.append("work")
        latch.count_down()

    def watch():
        latch.wait()
        seen.append(len(finished))

    concur.run(watch, work, work)

    assert seen == [2]
