"""A status is sent under a lock that the receiver of the one before takes first."""

import threading

import pytest


class Channel:
    def __init__(self):
        self.changed = threading.Condition()
        self.items = []
        self.sent = 0
        self.received = 0

    def send(self, item):
        with self.changed:
            self.items.append(item)
            self.sent += 1
            mine = self.sent
            self.changed.notify_all()
            while self.received < mine:
                self.changed.wait()

    def receive(self):
        with self.changed:
            while not self.items:
                self.changed.wait()
            self.received += 1
            self.changed.notify_all()
            return self.items.pop(0)


class Manager:
    def __init__(self):
        self.lock = threading.Lock()
        self.statuses = Channel()

    def sync_batch(self):
        self.statuses.receive()
        with self.lock:
            pass

    def set_status(self, status):
        with self.lock:
            self.statuses.send(status)


@pytest.mark.concurrency
def test_goker_kubernetes_10182(concur):
    manager = Manager()

    def sync():
        for _ in range(2):
            manager.sync_batch()

    concur.run(sync, lambda: manager.set_status("running"), lambda: manager.set_status("ended"))
