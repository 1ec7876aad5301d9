"""A lock made when the module was imported guards what each run of the body makes afresh."""

import threading

import pytest

LOCK = threading.Lock()


@pytest.mark.concurrency
def test_import_time_lock(concur):
    stock = {"apples": 3}

    def buy(wanted):
        with LOCK:
            if stock["apples"] >= wanted:
                stock["apples"] -= wanted

    concur.run(lambda: buy(2), lambda: buy(2))

    assert stock == {"apples": 1}
