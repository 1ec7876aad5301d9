"""A transfer that locks one account after the other lets an audit see money on its way."""

import threading
from contextlib import ExitStack

import pytest


class Account:
    def __init__(self, balance):
        self.lock = threading.Lock()
        self.balance = balance

    def deposit(self, amount):
        with self.lock:
            self.balance += amount


@pytest.mark.concurrency
def test_exit_stack_locks(concur):
    savings, current = accounts = [Account(100), Account(100)]

    def transfer():
        savings.deposit(-30)
        current.deposit(30)

    def audit():
        with ExitStack() as stack:
            for account in accounts:
                stack.enter_context(account.lock)
            return sum(account.balance for account in accounts)

    assert concur.run(transfer, audit) == [None, 200]
