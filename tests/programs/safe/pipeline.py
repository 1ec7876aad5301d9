"""Three stages joined by queues of one place pass on every item in order."""

import queue
import threading

import pytest


def stage(function, inbox, outbox):
    for item in iter(inbox.get, None):
        outbox.put(function(item))
    outbox.put(None)


@pytest.mark.concurrency
def test_pipeline():
    functions = [int, lambda number: number + 1, str]
    source, *_, sink = queues = [queue.Queue(maxsize=1) for _ in range(4)]
    stages = [
        threading.Thread(target=stage, args=(function, inbox, outbox))
        for function, inbox, outbox in zip(functions, queues, queues[1:], strict=False)
    ]
    for thread in stages:
        thread.start()

    source.put("1")
    source.put("2")
    source.put(None)
    results = list(iter(sink.get, None))
    for thread in stages:
        thread.join()

    assert results == ["2", "3"]
