"""A thread that polls a flag with short sleeps ends once the flag is set."""

import threading
import time

import pytest


class Worker(threading.Thread):
    def __init__(self):
        super().__init__()
        self.stopping = False
        self.stopped = False

    def run(self):
        while not self.stopping:
            time.sleep(0.01)
        self.stopped = True


@pytest.mark.concurrency
def test_spin_sleep():
    worker = Worker()
    worker.start()

    time.sleep(0.03)
    worker.stopping = True
    worker.join()

    assert worker.stopped
