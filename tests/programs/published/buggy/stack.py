"""The flag that the stack is filled stays set when the last value was taken, so an empty stack is popped."""

import threading

import pytest

SIZE = 10
UNDERFLOW = -2


class Stack:
    top = 0
    filled = False


@pytest.mark.concurrency
def test_stack(concur):
    stack, lock = Stack(), threading.Lock()
    cells = [0] * SIZE

    def push(value):
        assert stack.top < SIZE
        cells[stack.top] = value
        stack.top += 1

    def take():
        if stack.top == 0:
            return UNDERFLOW
        stack.top -= 1
        return cells[stack.top]

    def pusher():
        for i in range(SIZE):
            with lock:
                push(i)
                stack.filled = True

    def taker():
        for _ in range(SIZE):
            with lock:
                if stack.filled:
                    assert take() != UNDERFLOW

    concur.run(pusher, taker)
