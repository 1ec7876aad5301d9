"""A consumer that re-tests after each timed wait gets the item, notified or not."""

import threading

import pytest


@pytest.mark.concurrency
def test_condition_timeout(concur):
    filled = threading.Condition()
    box, received = [], []

    def consume():
        with filled:
            while not box:
                filled.wait(timeout=5)
            received.append(box.pop())

    def produce():
        with filled:
            box.append("parcel")
            filled.notify()

    concur.run(consume, produce)

    assert received == ["parcel"]
    assert box == []
