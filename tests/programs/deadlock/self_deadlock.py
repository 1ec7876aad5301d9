"""A locked method calls another one that takes the same plain lock."""

import threading

import pytest


class Account:
    def __init__(self, balance):
        self.lock = threading.Lock()
        self.balance = balance

    def deposit(self, amount):
        with self.lock:
            self.balance += amount

    def add_interest(self):
        with self.lock:
            self.deposit(self.balance // 10)


@pytest.mark.concurrency
def test_self_deadlock(concur):
    account = Account(100)

    concur.run(account.add_interest)

    assert account.balance == 110
