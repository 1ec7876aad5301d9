"""Who asks for the status gives up when the node has stopped."""

import threading

import pytest


class Offer:
    def __init__(self, item):
        self.item = item


class Channel:
    def __init__(self, changed):
        self.changed = changed
        self.offers = []
        self.closed = False

    def send(self, item, unless=None):
        offer = Offer(item)
        with self.changed:
            self.offers.append(offer)
            self.changed.notify_all()
            while offer in self.offers:
                if unless is not None and unless.closed:
                    self.offers.remove(offer)
                    return False
                self.changed.wait()
            return True

    def receive(self):
        with self.changed:
            while not self.offers and not self.closed:
                self.changed.wait()
            return self.take()

    def take(self):
        self.changed.notify_all()
        return self.offers.pop(0).item if self.offers else None

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()


class Node:
    def __init__(self):
        self.changed = threading.Condition()
        self.status_chan = Channel(self.changed)
        self.stop_chan = Channel(self.changed)
        self.done = Channel(self.changed)

    def status(self):
        answer = Channel(threading.Condition())
        if self.status_chan.send(answer, unless=self.done):
            answer.receive()

    def stop(self):
        self.stop_chan.send(True, unless=self.done)
        self.done.receive()

    def select(self):
        with self.changed:
            while True:
                for channel in (self.status_chan, self.stop_chan):
                    if channel.offers:
                        return channel, channel.take()
                self.changed.wait()

    def run(self):
        while True:
            channel, item = self.select()
            if channel is self.stop_chan:
                self.done.close()
                return
            item.send("running")


@pytest.mark.concurrency
def test_goker_etcd_6857(concur):
    node = Node()

    concur.run(node.run, node.status, node.stop)
