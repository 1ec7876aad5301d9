"""The interrupt comes between the waiter's test of its flag and the note where it waits, and wakes nobody."""

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
    thread.interrupted = True
    condition = thread.waiting
    if condition is not None:
        with lock:
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
