"""Two transfers in opposite directions each hold the lock that the other one needs."""

import threading

import pytest


class Account:
    def __init__(self, balance):
        self.lock = threading.Lock()
        self.balance = balance


def transfer(source, target, amount):
    with source.lock, target.lock:
        source.balance -= amount
        target.balance += amount


@pytest.mark.concurrency
def test_ab_ba_locks(concur):
    savings, current = Account(100), Account(100)

    concur.run(lambda: transfer(savings, current, 30), lambda: transfer(current, savings, 50))

    assert savings.balance + current.balance == 200
