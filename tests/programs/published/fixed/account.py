"""The check of the balance adds the deposit, so it holds also after deposit and withdrawal."""

import threading

import pytest


class Account:
    def __init__(self):
        self.x, self.y, self.z = 1, 2, 4
        self.balance = self.x
        self.deposit_done = False
        self.withdraw_done = False


@pytest.mark.concurrency
def test_account(concur):
    account, lock = Account(), threading.Lock()

    def check():
        with lock:
            if account.deposit_done and account.withdraw_done:
                assert account.balance == (account.x + account.y) - account.z

    def deposit():
        with lock:
            account.balance += account.y
            account.deposit_done = True

    def withdraw():
        with lock:
            account.balance -= account.z
            account.withdraw_done = True

    concur.run(check, deposit, withdraw)
