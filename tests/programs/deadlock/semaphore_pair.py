"""Two tasks that each need two of two permits hold one each."""

import threading

import pytest


@pytest.mark.concurrency
def test_semaphore_pair(concur):
    permits = threading.Semaphore(2)
    finished = []

    def work():
        with permits, permits:
            finished.append("work")

    concur.run(work, work)

    assert finished == ["work", "work"]
