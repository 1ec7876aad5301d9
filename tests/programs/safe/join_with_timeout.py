"""A caller that joins with a short timeout in a loop outlasts the thread."""

import threading
import time

import pytest


@pytest.mark.concurrency
def test_join_with_timeout():
    finished = []

    def work():
        time.sleep(0.03)
        finished.append("work")

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        thread.join(timeout=0.01)

    assert finished == ["work"]
