"""`Queue.join` returns only after the worker has marked every item as done."""

import queue
import threading

import pytest


@pytest.mark.concurrency
def test_queue_join():
    jobs = queue.Queue()
    squares = []

    def work():
        while (number := jobs.get()) is not None:
            squares.append(number * number)
            jobs.task_done()

    worker = threading.Thread(target=work)
    worker.start()
    for number in range(3):
        jobs.put(number)
    jobs.join()
    seen = list(squares)
    jobs.put(None)
    worker.join()

    assert seen == [0, 1, 4]
