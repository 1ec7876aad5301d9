"""A module-level counter, reset by each run of the body, is counted up under a lock of the body."""

import threading

import pytest

hits = 0


@pytest.mark.concurrency
def test_global_counter(concur):
    global hits
    hits = 0
    lock = threading.Lock()

    def hit():
        global hits
        with lock:
            hits += 1

    concur.run(hit, hit)

    assert hits == 2
