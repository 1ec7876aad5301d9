"""Two producers and two consumers of a stack-like queue neither lose nor double an item."""

import queue

import pytest


@pytest.mark.concurrency
def test_lifo_queue(concur):
    stack = queue.LifoQueue(maxsize=2)
    taken = []

    def produce(first, second):
        stack.put(first)
        stack.put(second)

    def consume():
        taken.append(stack.get())
        taken.append(stack.get(timeout=60))

    concur.run(lambda: produce(1, 2), consume, lambda: produce(3, 4), consume)

    assert sorted(taken) == [1, 2, 3, 4]
    assert stack.qsize() == 0
