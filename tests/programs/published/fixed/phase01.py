"""Every lock that a thread takes is released."""

import threading

import pytest


@pytest.mark.concurrency
def test_phase01(concur):
    x, y = threading.Lock(), threading.Lock()

    def pass_phases():
        x.acquire()
        x.release()
        x.acquire()
        x.release()
        y.acquire()
        y.release()
        y.acquire()
        y.release()

    concur.run(pass_phases, pass_phases)
