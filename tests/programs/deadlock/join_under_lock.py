"""A thread is joined under the lock that it needs to end."""

import threading

import pytest


@pytest.mark.concurrency
def test_join_under_lock():
    lock = threading.Lock()
    finished = []

    def work():
        with lock:
            finished.append("work")

    worker = threading.Thread(target=work)
    worker.start()
    with lock:
        worker.join()

    assert finished == ["work"]
