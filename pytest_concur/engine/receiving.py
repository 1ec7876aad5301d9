"""Waits for sockets: outside control, but one can ask beforehand whether there is anything to wait for.

The first wait at a place is left to the watchdog, which lets it be for a while: whoever answers in time, a server say,
changes nothing. Where tasks have been blocked before, others get the turn if no answer comes within milliseconds, and
from then on at once: it is one of them that answers.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from types import BuiltinMethodType
from typing import Any

from pytest_concur.engine.execution import Execution
from pytest_concur.engine.frames import call_at, place_of
from pytest_concur.engine.outside import Behind


class Receiving:
    """The hooks where something is about to be received."""

    def __init__(self, mine: Callable[[], Execution | None]) -> None:
        self._mine = mine

    def from_socket(self, receive: Any) -> Any:
        """A method of a socket was loaded that waits until something has come."""
        # an encrypted socket has methods of its own, and knows more than the system does
        kind = getattr(sys.modules.get("_socket"), "socket", None)
        if not self._has_known_places() or kind is None or type(receive) is not BuiltinMethodType:
            return receive
        owner = receive.__self__
        if not isinstance(owner, kind) or kind.gettimeout(owner) == 0 or (descriptor := kind.fileno(owner)) < 0:
            return receive
        return self._behind(lambda seconds: _is_empty(descriptor, seconds), receive)

    def from_any(self, poll: Any) -> Any:
        """A selector is about to wait, for as long as its ``timeout`` says."""
        if (
            not self._has_known_places()
            or type(poll) is not BuiltinMethodType
            or sys._getframe(1).f_locals.get("timeout") == 0
        ):
            return poll
        in_seconds = isinstance(poll.__self__, getattr(select, "epoll", ()))
        return self._behind(lambda seconds: not poll(seconds if in_seconds else round(seconds * 1000)), poll)

    def _has_known_places(self) -> bool:
        execution = self._mine()
        return execution is not None and bool(execution.known_places)

    def _behind(self, comes_not: Callable[[float], bool], function: Any) -> Any:
        """Return ``function``, or what gives the turn away before it calls it if nothing comes for some seconds."""
        frame = sys._getframe(2)
        where = str(place_of(frame))
        execution = self._mine()
        patience = None if execution is None else execution.known_places.get(where)
        if patience is None:
            return function
        what = call_at(frame)

        def give_turn_away() -> None:
            if comes_not(patience):  # lets the GIL go: who has the turn is asked behind it
                execution = self._mine()
                if execution is not None:
                    execution.waits_outside(what, where)

        return Behind(give_turn_away, function)


def _is_empty(descriptor: int, seconds: float) -> bool:
    """Whether nothing comes for so long that could be read."""
    if not hasattr(select, "poll"):
        return not select.select([descriptor], [], [], seconds)[0]
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return not asked.poll(round(seconds * 1000))
