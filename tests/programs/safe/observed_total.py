"""The observed total is the same under every schedule because additions are locked."""

import threading

import pytest


@pytest.mark.concurrency
def test_observed_total(concur):
    lock = threading.Lock()
    account = {"total": 0}

    def add(amount):
        with lock:
            account["total"] += amount

    concur.run(lambda: add(1), lambda: add(2))
    concur.observe(total=account["total"])
