"""The channel that ends the worker is closed and stays where it is."""

import threading

import pytest


class Channel:
    def __init__(self):
        self.changed = threading.Condition()
        self.closed = False

    def close(self):
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def receive(self):
        with self.changed:
            while not self.closed:
                self.changed.wait()


class Source:
    def __init__(self):
        self.done = Channel()

    def work(self):
        self.done.receive()

    def stop(self):
        self.done.close()


@pytest.mark.concurrency
def test_goker_istio_8967(concur):
    source = Source()

    concur.run(source.work, source.stop)
