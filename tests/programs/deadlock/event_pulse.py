"""An event that is set and cleared at once passes by a thread that has not begun to wait."""

import threading

import pytest


@pytest.mark.concurrency
def test_event_pulse():
    go = threading.Event()
    started = []

    def run():
        go.wait()
        started.append("run")

    runner = threading.Thread(target=run)
    runner.start()
    go.set()
    go.clear()
    runner.join()

    assert started == ["run"]
