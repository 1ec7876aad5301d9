"""Each future runs its callback exactly once before the pool has shut down."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.mark.concurrency
def test_future_callbacks():
    lock = threading.Lock()
    total = 0

    def add(future):
        nonlocal total
        with lock:
            total += future.result()

    with ThreadPoolExecutor(max_workers=2) as pool:
        for number in (1, 2, 3):
            pool.submit(abs, -number).add_done_callback(add)

    assert total == 6
