"""Blocked, or only short of a processor: what the system says."""

from __future__ import annotations

import os
import threading

import pytest

from pytest_concur.engine.watchdog import _waits_for_processor

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="the system does not tell")


def test_a_thread_that_computes_is_told_from_one_that_waits():
    """One that spins can run, whether it has a processor or not; one that waits for a lock cannot."""
    stop, blocked = threading.Event(), threading.Event()

    def spin():
        while not stop.is_set():
            pass

    spinning = threading.Thread(target=spin)
    waiting = threading.Thread(target=blocked.wait)
    for thread in (spinning, waiting):
        thread.start()
    try:
        # a look lets the GIL go, so now and then the spinning thread waits for that instead
        assert any(_waits_for_processor(spinning.ident) for _ in range(200))
        assert not all(_waits_for_processor(waiting.ident) for _ in range(200))
    finally:
        stop.set()
        blocked.set()
        for thread in (spinning, waiting):
            thread.join()
