"""A once-guard that looks at its flag outside the lock runs its function twice."""

import threading

import pytest


class Once:
    def __init__(self, function):
        self.function = function
        self.lock = threading.Lock()
        self.done = False

    def __call__(self):
        if not self.done:
            with self.lock:
                self.result = self.function()
                self.done = True
        return self.result


@pytest.mark.concurrency
def test_once_initializer(concur):
    calls = []

    def connect():
        calls.append("connect")
        return "connected"

    once = Once(connect)

    assert concur.run(once, once) == ["connected", "connected"]
    assert calls == ["connect"]
