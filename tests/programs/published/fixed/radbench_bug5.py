"""The interrupt holds the lock that the waiter holds from the test of its flag until it waits."""

import threading

import pytest


class Thread:
    interrupted = False
    waiting = None


def wait_condition_variable(thread, condition):
    if thread.interrupted:
        thread.interrupted = False
        return
    thread.waiting = condition
    condition.wait()
    thread.waiting = None


def interrupt(thread, lock):
    with lock:
        thread.interrupted = True
        condition = thread.waiting
        if condition is not None:
            condition.notify_all()


@pytest.mark.concurrency
def test_radbench_bug5(concur):
    lock = threading.Lock()
    condition = threading.Condition(lock)
    thread = Thread()

    def wait():
        with lock:
            wait_condition_variable(thread, condition)

    concur.run(wait, lambda: interrupt(thread, lock))
