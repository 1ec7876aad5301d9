"""A worker waits for a key holding a read lock, behind which a writer bars the worker that would bring the key."""

import threading

import pytest


class ReadWriteLock:
    def __init__(self):
        self.changed = threading.Condition()
        self.readers = 0
        self.waiting = 0
        self.writing = False

    def acquire_read(self):
        with self.changed:
            while self.writing or self.waiting > 0:
                self.changed.wait()
            self.readers += 1

    def release_read(self):
        with self.changed:
            self.readers -= 1
            self.changed.notify_all()

    def acquire_write(self):
        with self.changed:
            self.waiting += 1
            while self.writing or self.readers > 0:
                self.changed.wait()
            self.waiting -= 1
            self.writing = True

    def release_write(self):
        with self.changed:
            self.writing = False
            self.changed.notify_all()


class Queue:
    def __init__(self):
        self.filled = threading.Condition()
        self.keys = []

    def add(self, key):
        with self.filled:
            self.keys.append(key)
            self.filled.notify()

    def get(self):
        with self.filled:
            while not self.keys:
                self.filled.wait()
            return self.keys.pop(0)


class Controller:
    def __init__(self):
        self.worker_lock = ReadWriteLock()
        self.queue = Queue()

    def work(self):
        self.worker_lock.acquire_read()
        self.queue.get()
        self.worker_lock.release_read()

    def enqueue(self):
        self.worker_lock.acquire_read()
        self.queue.add("quota")
        self.worker_lock.release_read()

    def sync(self):
        self.worker_lock.acquire_write()
        self.worker_lock.release_write()


@pytest.mark.concurrency
def test_goker_kubernetes_58107(concur):
    controller = Controller()

    concur.run(controller.work, controller.enqueue, controller.sync)
