"""A transfer and an audit that take all locks in one order through an exit stack keep the total."""

import threading
from contextlib import ExitStack

import pytest


class Account:
    def __init__(self, balance):
        self.lock = threading.Lock()
        self.balance = balance


def lock_all(accounts):
    with ExitStack() as stack:
        for account in accounts:
            stack.enter_context(account.lock)
        return stack.pop_all()


@pytest.mark.concurrency
def test_exit_stack_locks(concur):
    savings, current = accounts = [Account(100), Account(100)]

    def transfer():
        with lock_all(accounts):
            savings.balance -= 30
            current.balance += 30

    def audit():
        with lock_all(accounts):
            return sum(account.balance for account in accounts)

    assert concur.run(transfer, audit) == [None, 200]
