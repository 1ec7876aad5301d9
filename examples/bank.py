"""A bank in three states: without locks, with locks in the order of the arguments, with locks in a fixed order."""

from __future__ import annotations

import threading


class Account:
    """Money under a number."""

    def __init__(self, number: int, balance: int) -> None:
        self.number = number
        self.balance = balance
        self.lock = threading.Lock()


def transfer_unlocked(source: Account, target: Account, amount: int) -> None:
    """Loses money: another transfer may come between the read and the write of a balance."""
    source.balance -= amount
    target.balance += amount


def transfer_nested(source: Account, target: Account, amount: int) -> None:
    """Keeps the money, and stops for ever when two transfers go opposite ways."""
    with source.lock:  # noqa: SIM117 - two steps, and between them lies the bug
        with target.lock:
            source.balance -= amount
            target.balance += amount


def transfer_ordered(source: Account, target: Account, amount: int) -> None:
    """Takes the locks in the order of the numbers, whichever way the money goes."""
    first, second = sorted((source, target), key=lambda account: account.number)
    with first.lock, second.lock:
        source.balance -= amount
        target.balance += amount
