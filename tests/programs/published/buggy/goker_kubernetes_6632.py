"""A frame is announced under a lock, and who should hear of it waits for that lock to close the channel."""

import threading

import pytest


class Channel:
    def __init__(self, capacity=0):
        self.changed = threading.Condition()
        self.capacity = capacity
        self.items = []
        self.sent = 0
        self.received = 0
        self.closed = False

    def send(self, item):
        with self.changed:
            self.items.append(item)
            self.sent += 1
            mine = self.sent
            self.changed.notify_all()
            while self.received + self.capacity < mine:
                self.changed.wait()

    def receive(self):
        with self.changed:
            while not self.items:
                self.changed.wait()
            self.received += 1
            self.changed.notify_all()
            return self.items.pop(0)

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Framer:
    def __init__(self):
        self.write_lock = threading.Lock()
        self.close_chan = Channel()
        self.reset_chan = Channel()

    def monitor(self):
        self.close_chan.receive()
        with self.write_lock:
            self.reset_chan.close()
            self.reset_chan = None

    def write_frame(self):
        with self.write_lock:
            if self.reset_chan is not None:
                self.reset_chan.send(True)


@pytest.mark.concurrency
def test_goker_kubernetes_6632(concur):
    framer = Framer()

    def close():
        framer.close_chan.send(True)

    concur.run(framer.monitor, framer.write_frame, close)
