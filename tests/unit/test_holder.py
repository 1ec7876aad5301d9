"""Names of objects, by who holds them, also where the collector does not list the holder."""

from __future__ import annotations

import gc
import threading

from pytest_concur.engine.holder import name_of

LOCK = threading.Lock()


class Bank:
    lock = threading.Lock()

    def __init__(self) -> None:
        self.own = threading.Lock()


class Slotted:
    __slots__ = ("own",)

    def __init__(self) -> None:
        self.own = threading.Lock()


BANK, SLOTTED = Bank(), Slotted()


def test_name_of_holder() -> None:
    assert name_of(LOCK) == f"{__name__}.LOCK"
    assert name_of(Bank.lock) == "Bank.lock"
    assert name_of(BANK.own) == "Bank.own"
    assert name_of(SLOTTED.own) == "Slotted.own"


def test_name_in_a_container() -> None:
    BANK.accounts = {"a": [threading.Lock()], 2: threading.Lock()}  # type: ignore[attr-defined]

    assert name_of(BANK.accounts[2]) == "Bank.accounts[2]"  # type: ignore[attr-defined]
    assert name_of(BANK.accounts["a"][0]) == ""  # type: ignore[attr-defined]


def test_name_of_a_variable_that_functions_share() -> None:
    guard, guards = threading.Lock(), [threading.Lock()]

    def use() -> object:
        return guard, guards

    assert (name_of(guard), name_of(guards[0]), use()[0]) == ("guard", "guards[0]", guard)  # type: ignore[index]


def test_nobody_holds_it() -> None:
    assert name_of(threading.Lock()) == ""


def test_holders_that_are_frozen() -> None:
    """While a test is explored, what was there before is frozen."""
    gc.freeze()
    try:
        assert name_of(LOCK) == f"{__name__}.LOCK"
        assert name_of(Bank.lock) == "Bank.lock"
    finally:
        gc.unfreeze()
