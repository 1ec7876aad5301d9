"""Code that runs freely and does not come back is interrupted, and told where it stands."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from pytest_concur.errors import ConcurrencyFailure
from pytest_concur.session.patience import Patience


def test_a_deadlock_is_interrupted():
    """A lock that nobody releases: the error names the line; the signal's handler is put back."""
    lock = threading.Lock()
    lock.acquire()

    def hang():
        with Patience(0.3) as patience:
            patience.beat()
            lock.acquire()

    begin = time.monotonic()
    with pytest.raises(ConcurrencyFailure, match=r"(?s)has not come back for 0\.3 s.*test_patience\.py:\d+"):
        hang()
    assert time.monotonic() - begin < 10
    assert signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL


def test_announced_time_is_granted():
    """A round that was announced to take long may take long, each round begins anew, and pauses are nobody's."""
    with Patience(0.3) as patience:
        time.sleep(0.5)
        patience.beat(1.0)
        time.sleep(0.7)
        for _ in range(3):
            patience.beat()
            time.sleep(0.15)
        patience.rest()
        time.sleep(0.5)


def test_another_owner_of_the_signal_keeps_it():
    """Somebody else's handler stays; nothing is watched then."""
    before = signal.signal(signal.SIGUSR2, lambda number, frame: None)
    try:
        mine = signal.getsignal(signal.SIGUSR2)
        with Patience(0.01):
            assert signal.getsignal(signal.SIGUSR2) is mine
    finally:
        signal.signal(signal.SIGUSR2, before)
