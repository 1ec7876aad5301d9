"""A priority queue filled by several threads is drained in the order of priorities."""

import queue
import threading

import pytest


@pytest.mark.concurrency
def test_priority_queue():
    jobs = queue.PriorityQueue()
    threads = [threading.Thread(target=jobs.put, args=((priority, "job"),)) for priority in (3, 1, 2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [jobs.get_nowait() for _ in threads] == [(1, "job"), (2, "job"), (3, "job")]
    with pytest.raises(queue.Empty):
        jobs.get_nowait()
