"""Timed acquires, patient or repeated, get the lock after its slow holder let go."""

import threading
import time

import pytest


@pytest.mark.concurrency
def test_acquire_timeout(concur):
    lock = threading.Lock()
    log = []

    def hold():
        with lock:
            time.sleep(0.05)
            log.append("held")

    def insist():
        while not lock.acquire(timeout=0.01):
            log.append("timed out")
        log.append("insisted")
        lock.release()

    def wait_patiently():
        assert lock.acquire(timeout=3600)
        log.append("waited")
        lock.release()

    concur.run(hold, insist, wait_patiently)

    assert set(log) - {"timed out"} == {"held", "insisted", "waited"}
    assert not lock.locked()
