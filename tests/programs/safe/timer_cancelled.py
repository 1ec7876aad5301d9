"""A watchdog timer of an hour, cancelled when the work is done, never fires."""

import threading

import pytest


@pytest.mark.concurrency
def test_timer_cancelled(concur):
    expired = threading.Event()
    finished = []

    def work():
        watchdog = threading.Timer(3600, expired.set)
        watchdog.start()
        try:
            finished.append("work")
        finally:
            watchdog.cancel()
            watchdog.join()

    concur.run(work, work)

    assert finished == ["work", "work"]
    assert not expired.is_set()
