"""Wait for user code that runs freely, but not for ever: nobody sees what it does."""

from __future__ import annotations

import math
import signal
import threading
import time
from types import FrameType
from typing import Any

from pytest_concur.engine.frames import place_of
from pytest_concur.engine.stacks import stacks
from pytest_concur.errors import Hung

LEFT_BEHIND: list[threading.Thread] = []
"""Threads that were there when patience was lost, and may never end."""

LIMIT_S = 60.0
"""How long a round may take beyond what it was announced to take."""

TICK_S = 0.2
_WAKE = getattr(signal, "SIGUSR2", None)


class Patience:
    """Interrupts the main thread with :class:`Hung` when a round does not come back.

    Where that cannot be done (another thread measures, no such signal, somebody else has it) pytest-timeout is what
    ends a test that hangs.
    """

    def __init__(self, limit_s: float = LIMIT_S, what: str = "measured code") -> None:
        """
        Args:
            limit_s: Seconds that a round may take beyond what it was announced to take.
            what: Runs in rounds, for the message.
        """
        self._limit_s = limit_s
        self._what = what
        self._deadline = math.inf
        self._is_over = threading.Event()
        self._old: Any = None

    def __enter__(self) -> Patience:
        is_main = threading.current_thread() is threading.main_thread()
        if _WAKE is not None and is_main and signal.getsignal(_WAKE) is signal.SIG_DFL:
            self._old = signal.signal(_WAKE, self._give_up)
            threading.Thread(target=self._watch, name="concur-patience", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._is_over.set()
        if self._old is not None and _WAKE is not None:
            signal.signal(_WAKE, self._old)

    def beat(self, seconds: float = 0.0) -> None:
        """A round is over, or one begins that takes so many seconds."""
        self._deadline = time.monotonic() + seconds + self._limit_s

    def rest(self) -> None:
        """Nothing is measured for now."""
        self._deadline = math.inf

    def _watch(self) -> None:
        while not self._is_over.wait(TICK_S):
            if time.monotonic() > self._deadline and _WAKE is not None:
                self.rest()
                signal.pthread_kill(threading.main_thread().ident or 0, _WAKE)

    def _give_up(self, number: int, frame: FrameType | None) -> None:
        main = threading.main_thread()
        LEFT_BEHIND.extend(each for each in threading.enumerate() if each is not main and not each.daemon)
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        stands = "; ".join(
            f"{names[ident]} at {place_of(top)}"
            for ident, top in stacks().items()
            if names.get(ident, "concur-patience") != "concur-patience"
        )
        raise Hung(
            f"{self._what} has not come back for {self._limit_s:g} s, running freely: {stands}\n"
            "  it hangs, or one call takes that long; use a smaller piece"
        )
