"""A timer that is joined has fired."""

import threading

import pytest


@pytest.mark.concurrency
def test_timer_joined():
    fired = []
    timer = threading.Timer(0.01, fired.append, args=("alarm",))

    timer.start()
    timer.join()

    assert fired == ["alarm"]
