"""A barrier for three waits for a party that never comes."""

import threading

import pytest


@pytest.mark.concurrency
def test_barrier_short(concur):
    barrier = threading.Barrier(3)

    concur.run(barrier.wait, barrier.wait)
