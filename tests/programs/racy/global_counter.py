"""Two threads add to a global without a lock and lose an update."""

import threading

import pytest

hits = 0


def hit():
    global hits
    hits += 1


@pytest.mark.concurrency
def test_global_counter():
    global hits
    hits = 0
    threads = [threading.Thread(target=hit) for _ in range(2)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert hits == 2
