"""The channel that stops the monitor is closed, for which nobody has to listen."""

import threading

import pytest


class Channel:
    def __init__(self):
        self.changed = threading.Condition()
        self.sent = 0
        self.received = 0
        self.closed = False

    def send(self):
        with self.changed:
            self.sent += 1
            mine = self.sent
            while self.received < mine:
                self.changed.wait()

    def close(self):
        with self.changed:
            self.closed = True

    def try_receive(self):
        with self.changed:
            if self.received < self.sent:
                self.received += 1
                self.changed.notify_all()
                return True
            return self.closed


class Container:
    def __init__(self):
        self.lock = threading.Lock()
        self.stop = Channel()
        self.probed = False

    def state_changed(self):
        with self.lock:
            self.stop.close()

    def monitor(self):
        while not self.stop.try_receive():
            with self.lock:
                self.probed = True


@pytest.mark.concurrency
def test_goker_moby_28462(concur):
    container = Container()

    concur.run(container.monitor, container.state_changed)
