"""A reentrant lock lets a locked withdrawal call two locked methods as one step."""

import threading

import pytest


class Account:
    def __init__(self, balance):
        self._lock = threading.RLock()
        self._balance = balance

    def balance(self):
        with self._lock:
            return self._balance

    def deposit(self, amount):
        with self._lock:
            self._balance += amount

    def withdraw(self, amount):
        with self._lock:
            if self.balance() >= amount:
                self.deposit(-amount)


@pytest.mark.concurrency
def test_rlock_nested(concur):
    account = Account(100)

    concur.run(lambda: account.withdraw(70), lambda: account.withdraw(70))

    assert account.balance() == 30
