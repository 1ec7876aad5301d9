"""A reader reads again inside its read, behind a writer who waits for the first read to end."""

import threading
from contextlib import contextmanager

import pytest


class Document:
    def __init__(self):
        self.changed = threading.Condition()
        self.readers = self.waiting_writers = self.version = 0

    @contextmanager
    def reading(self):
        with self.changed:
            self.changed.wait_for(lambda: self.waiting_writers == 0)
            self.readers += 1
        yield self.version
        with self.changed:
            self.readers -= 1
            self.changed.notify_all()

    def write(self):
        with self.changed:
            self.waiting_writers += 1
            self.changed.wait_for(lambda: self.readers == 0)
            self.waiting_writers -= 1
            self.version += 1
            self.changed.notify_all()

    def read_twice(self):
        with self.reading() as first, self.reading() as second:
            assert first == second


@pytest.mark.concurrency
def test_rw_reentrant(concur):
    document = Document()

    concur.run(document.read_twice, document.write)
