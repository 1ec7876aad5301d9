"""A lease is renewed under a lock, and the function called meanwhile takes that lock again."""

import threading

import pytest


class Lessor:
    def __init__(self):
        self.mu = threading.Lock()
        self.checkpointer = None
        self.remaining = 5

    def checkpoint(self, remaining):
        with self.mu:
            self.remaining = remaining

    def renew(self):
        with self.mu:
            if self.remaining > 0:
                self.checkpointer(0)


@pytest.mark.concurrency
def test_goker_etcd_10492(concur):
    lessor = Lessor()
    lessor.checkpointer = lessor.checkpoint

    concur.run(lessor.renew)

    assert lessor.remaining == 0
