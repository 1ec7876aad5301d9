"""The monitor stops without taking the result of its probe, which is never rid of it."""

import threading

import pytest


class Channel:
    def __init__(self, changed):
        self.changed = changed
        self.sent = 0
        self.received = 0

    def send(self):
        with self.changed:
            self.sent += 1
            mine = self.sent
            self.changed.notify_all()
            while self.received < mine:
                self.changed.wait()

    def receive(self):
        with self.changed:
            while self.received == self.sent:
                self.changed.wait()
            self.take()

    def take(self):
        self.received += 1
        self.changed.notify_all()


class Monitor:
    def __init__(self):
        self.changed = threading.Condition()
        self.stop = Channel(self.changed)
        self.results = Channel(self.changed)

    def select(self):
        with self.changed:
            while True:
                for channel in (self.stop, self.results):
                    if channel.received < channel.sent:
                        channel.take()
                        return channel
                self.changed.wait()

    def monitor(self):
        if self.select() is self.stop:
            return
        self.stop.receive()

    def probe(self):
        self.results.send()


@pytest.mark.concurrency
def test_goker_moby_33781(concur):
    monitor = Monitor()

    concur.run(monitor.monitor, monitor.probe, monitor.stop.send)
