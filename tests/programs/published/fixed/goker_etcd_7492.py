"""A token is sent to the keeper when the lock, which the keeper takes to drop another, has been given back."""

import threading
import time

import pytest


class Channel:
    def __init__(self, changed, capacity):
        self.changed = changed
        self.capacity = capacity
        self.items = []
        self.closed = False

    def send(self, item):
        with self.changed:
            while len(self.items) == self.capacity:
                self.changed.wait()
            self.items.append(item)
            self.changed.notify_all()

    def offer(self, item):
        with self.changed:
            if len(self.items) < self.capacity:
                self.items.append(item)
                self.changed.notify_all()

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Provider:
    def __init__(self):
        self.mu = threading.Lock()
        self.changed = threading.Condition()
        self.ticks = Channel(self.changed, 1)
        self.added = Channel(self.changed, 1)
        self.stop = Channel(self.changed, 1)
        self.valid = []

    def tick(self):
        for _ in range(3):
            self.ticks.offer(True)
            time.sleep(1)

    def authenticate(self, token):
        with self.mu:
            self.valid.append(token)
        self.added.send(token)

    def select(self):
        with self.changed:
            while True:
                for channel in (self.ticks, self.added):
                    if channel.items:
                        self.changed.notify_all()
                        return channel, channel.items.pop(0)
                if self.stop.closed:
                    return self.stop, None
                self.changed.wait()

    def keep(self):
        tokens = []
        while True:
            channel, token = self.select()
            if channel is self.added:
                tokens.append(token)
            elif channel is self.ticks:
                while tokens:
                    dropped = tokens.pop()
                    with self.mu:
                        if dropped in self.valid:
                            self.valid.remove(dropped)
            else:
                return


@pytest.mark.concurrency
def test_goker_etcd_7492(concur):
    provider = Provider()
    ended = threading.Semaphore(0)

    def authenticate(token):
        provider.authenticate(token)
        ended.release()

    def stop():
        for _ in range(3):
            ended.acquire()
        provider.stop.close()

    concur.run(
        provider.tick,
        provider.keep,
        lambda: authenticate(1),
        lambda: authenticate(2),
        lambda: authenticate(3),
        stop,
    )
