"""Each class counts under a lock of its own, so whoever holds the resource can always give it back."""

import threading

import pytest


class Counters:
    a = 0
    b = 0


@pytest.mark.concurrency
def test_carter01(concur):
    counters, resource = Counters(), threading.Lock()
    counting, counting_b = threading.Lock(), threading.Lock()

    def use_a():
        with counting:
            counters.a += 1
            if counters.a == 1:
                resource.acquire()
        with counting:
            counters.a -= 1
            if counters.a == 0:
                resource.release()

    def use_b():
        with counting_b:
            counters.b += 1
            if counters.b == 1:
                resource.acquire()
        with counting_b:
            counters.b -= 1
            if counters.b == 0:
                resource.release()

    def idle():
        pass

    concur.run(use_a, use_b, idle, idle)
