"""The flag is tested outside the lock, so the only notification can come before the wait."""

import threading

import pytest


class Box:
    ready = False


@pytest.mark.concurrency
def test_lost_notify(concur):
    changed = threading.Condition()
    box = Box()

    def wait():
        if not box.ready:
            with changed:
                changed.wait()

    def announce():
        box.ready = True
        with changed:
            changed.notify()

    concur.run(wait, announce)

    assert box.ready
