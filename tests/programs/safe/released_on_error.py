"""A lock held by a failing task is released while the exception travels."""

import threading

import pytest


@pytest.mark.concurrency
def test_released_on_error(concur):
    lock = threading.Lock()
    entries = []

    def enter(name):
        try:
            with lock:
                entries.append(name)
                raise ValueError(name)
        except ValueError as error:
            return str(error)

    assert concur.run(lambda: enter("ann"), lambda: enter("bob")) == ["ann", "bob"]
    assert sorted(entries) == ["ann", "bob"]
    assert not lock.locked()
