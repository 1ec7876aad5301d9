"""A reader that has the lock takes it once more whether or not a writer waits."""

import threading

import pytest


class ReadWriteLock:
    def __init__(self):
        self.lock = threading.Lock()
        self.readable = threading.Condition(self.lock)
        self.writable = threading.Condition(self.lock)
        self.readers = []
        self.writing = False
        self.waiting = 0

    def acquire_read(self, me):
        with self.lock:
            while self.writing or (self.waiting > 0 and me not in self.readers):
                self.readable.wait()
            self.readers.append(me)

    def acquire_write(self):
        with self.lock:
            self.waiting += 1
            while self.writing or self.readers:
                self.writable.wait()
            self.waiting -= 1
            self.writing = True

    def release(self, me):
        with self.lock:
            if self.writing:
                self.writing = False
            else:
                self.readers.remove(me)
            if not self.readers:
                if self.waiting > 0:
                    self.writable.notify()
                else:
                    self.readable.notify_all()


@pytest.mark.concurrency
def test_radbench_bug6(concur):
    lock = ReadWriteLock()

    def read():
        lock.acquire_read("reader")
        lock.acquire_read("reader")
        lock.release("reader")
        lock.release("reader")

    def write():
        lock.acquire_write()
        lock.release("writer")

    concur.run(read, write)
