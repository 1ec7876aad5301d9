"""Readers may overlap, yet a writer that waits for them never shows a half-written pair."""

import threading
from contextlib import contextmanager

import pytest


class Pair:
    def __init__(self):
        self.changed = threading.Condition()
        self.readers = self.left = self.right = 0

    @contextmanager
    def reading(self):
        with self.changed:
            self.readers += 1
        try:
            yield
        finally:
            with self.changed:
                self.readers -= 1
                self.changed.notify_all()

    def write(self, value):
        with self.changed:
            self.changed.wait_for(lambda: self.readers == 0)
            self.left = self.right = value

    def check(self):
        with self.reading():
            assert self.left == self.right


@pytest.mark.concurrency
def test_read_write_lock(concur):
    pair = Pair()

    concur.run(pair.check, lambda: pair.write(1), pair.check)
