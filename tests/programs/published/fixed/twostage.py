"""The second stage of an update is done before the lock of the first one is released."""

import threading

import pytest


class Stages:
    data1 = 0
    data2 = 0


@pytest.mark.concurrency
@pytest.mark.parametrize(
    ("writers", "readers"),
    [(1, 1), (10, 10), (40, 10), (99, 1)],
    ids=["twostage", "twostage_20", "twostage_50", "twostage_100"],
)
def test_twostage(concur, writers, readers):
    stages, lock1, lock2 = Stages(), threading.Lock(), threading.Lock()

    def write():
        with lock1:
            stages.data1 = 1
            with lock2:
                stages.data2 = stages.data1 + 1

    def read():
        with lock1:
            if stages.data1 == 0:
                return
            first = stages.data1
        with lock2:
            second = stages.data2
        assert second == first + 1

    concur.run(*[write] * writers, *[read] * readers)
