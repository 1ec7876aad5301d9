"""A thread keeps the first lock for ever, so the other one never gets it."""

import threading

import pytest


@pytest.mark.concurrency
def test_phase01(concur):
    x, y = threading.Lock(), threading.Lock()

    def pass_phases():
        x.acquire()
        x.release()
        x.acquire()
        y.acquire()
        y.release()
        y.acquire()
        y.release()

    concur.run(pass_phases, pass_phases)
