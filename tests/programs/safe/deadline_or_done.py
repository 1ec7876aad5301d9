"""Whichever of work and deadline comes first decides, and the other changes nothing."""

import threading
import time

import pytest


class Decision:
    def __init__(self):
        self.lock = threading.Lock()
        self.proposals = []

    def propose(self, value):
        with self.lock:
            self.proposals.append(value)
            return self.proposals[0]


@pytest.mark.concurrency
def test_deadline_or_done():
    decision = Decision()
    timer = threading.Timer(0.01, decision.propose, args=("expired",))
    timer.start()

    time.sleep(0.01)
    decided = decision.propose("done")
    timer.join()

    assert decision.proposals[0] == decided
    assert sorted(decision.proposals) == ["done", "expired"]
