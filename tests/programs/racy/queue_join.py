"""An empty queue is taken for finished work although the worker still has an item in hand."""

import queue
import threading
import time

import pytest


@pytest.mark.concurrency
def test_queue_join():
    jobs = queue.Queue()
    squares = []

    def work():
        while (number := jobs.get()) is not None:
            squares.append(number * number)

    worker = threading.Thread(target=work)
    worker.start()
    for number in range(3):
        jobs.put(number)
    while not jobs.empty():
        time.sleep(0.01)
    seen = list(squares)
    jobs.put(None)
    worker.join()

    assert seen == [0, 1, 4]
