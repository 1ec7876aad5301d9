"""A subject calls its observer under its own lock while the observer, under another, asks the subject."""

import threading

import pytest


class Subject:
    def __init__(self):
        self.lock = threading.Lock()
        self.state = 0

    def change(self, state, callback):
        with self.lock:
            self.state = state
            callback(state)

    def current(self):
        with self.lock:
            return self.state


@pytest.mark.concurrency
def test_callback_under_lock(concur):
    subject, observer_lock, seen = Subject(), threading.Lock(), []

    def update(state):
        with observer_lock:
            seen.append(state)

    def refresh():
        with observer_lock:
            seen.append(subject.current())

    concur.run(lambda: subject.change(1, callback=update), refresh)

    assert seen in ([1, 1], [0, 1])
