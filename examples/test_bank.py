"""Two transfers at once, opposite ways: what goes wrong without locks, with careless locks, and what works."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bank import Account, transfer_nested, transfer_ordered, transfer_unlocked

pytestmark = pytest.mark.concurrency


def both_ways(concur, transfer: Callable[[Account, Account, int], None]) -> int:
    """Transfer both ways at once; return what the two accounts hold together."""
    alice, bob = Account(1, 100), Account(2, 100)
    concur.run(lambda: transfer(alice, bob, 30), lambda: transfer(bob, alice, 50), names=["to bob", "to alice"])
    return alice.balance + bob.balance


@pytest.mark.xfail(strict=True, reason="a read and a write are two steps")
def test_money_is_lost_without_locks(concur):
    assert both_ways(concur, transfer_unlocked) == 200


@pytest.mark.xfail(strict=True, reason="each transfer holds the lock that the other one needs")
def test_transfers_wait_for_each_other(concur):
    assert both_ways(concur, transfer_nested) == 200


def test_ordered_locks_keep_the_total(concur):
    assert both_ways(concur, transfer_ordered) == 200
