"""One class waits for the resource under the counting lock that the other one needs to give the resource back."""

import threading

import pytest


class Counters:
    a = 0
    b = 0


@pytest.mark.concurrency
def test_carter01(concur):
    counters, counting, resource = Counters(), threading.Lock(), threading.Lock()

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
        with counting:
            counters.b += 1
            if counters.b == 1:
                resource.acquire()
        with counting:
            counters.b -= 1
            if counters.b == 0:
                resource.release()

    def idle():
        pass

    concur.run(use_a, use_b, idle, idle)
