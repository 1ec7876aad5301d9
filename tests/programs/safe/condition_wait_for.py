"""Tasks that wait for their turn with `Condition.wait_for` act in the order of their numbers."""

import threading
from functools import partial

import pytest


@pytest.mark.concurrency
def test_condition_wait_for(concur):
    changed = threading.Condition()
    log = []

    def act(number):
        with changed:
            changed.wait_for(lambda: len(log) == number)
            log.append(number)
            changed.notify_all()

    concur.run(partial(act, 2), partial(act, 0), partial(act, 1))

    assert log == [0, 1, 2]
