"""A daemon thread consumes until the sentinel and is joined."""

import queue
import threading

import pytest


@pytest.mark.concurrency
def test_daemon_consumer():
    inbox = queue.SimpleQueue()
    lines = []

    def consume():
        lines.extend(iter(inbox.get, None))

    consumer = threading.Thread(target=consume, daemon=True)
    consumer.start()
    inbox.put("first")
    inbox.put("second")
    inbox.put(None)
    consumer.join()

    assert lines == ["first", "second"]
