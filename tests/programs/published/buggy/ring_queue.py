"""Producer and consumer number the values by rounds of their loops, also by those that were skipped."""

import threading

import pytest

SIZE = 20


class Queue:
    head = 0
    tail = 0
    amount = 0
    may_enqueue = True
    may_dequeue = False


@pytest.mark.concurrency
def test_ring_queue(concur):
    queue, lock = Queue(), threading.Lock()
    elements, stored = [0] * SIZE, [0] * SIZE

    def enqueue(value):
        elements[queue.tail] = value
        queue.amount += 1
        if queue.tail == SIZE:
            queue.tail = 1
        else:
            queue.tail += 1

    def dequeue():
        value = elements[queue.head]
        queue.amount -= 1
        if queue.head == SIZE:
            queue.head = 1
        else:
            queue.head += 1
        return value

    def producer():
        value = 0
        with lock:
            enqueue(value)
            stored[0] = value
            assert queue.head != queue.tail
        for i in range(SIZE - 1):
            with lock:
                if queue.may_enqueue:
                    value += 1
                    enqueue(value)
                    stored[i + 1] = value
                    queue.may_enqueue = False
                    queue.may_dequeue = True

    def consumer():
        for i in range(SIZE):
            with lock:
                if queue.may_dequeue:
                    assert dequeue() == stored[i]
                    queue.may_dequeue = False
                    queue.may_enqueue = True

    concur.run(producer, consumer)
