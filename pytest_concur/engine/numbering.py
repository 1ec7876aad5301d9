"""Numbers of objects: what names an object alike in all runs of one schedule."""

from __future__ import annotations

import weakref
from sys import getrefcount

_ENDLESS = 1 << 62

MOST_ASKED = 4
"""Objects kept that are looked at each time: the latest, since most that end soon are."""

ONLY_HERE = 4
"""References to an object that nobody else has: in both tables, by the variable, by the one who counts."""


class Numbering:
    """The numbers given in one run: small, in the order of first asking."""

    __slots__ = ("_given", "_next", "early", "kept")

    def __init__(self) -> None:
        self.early = _ENDLESS
        """Objects with lower numbers were met before there was a second task: they have these numbers in every run."""

        self.kept: list[object] = []
        """Objects that do not allow it, longest first."""

        self._given: dict[int, tuple[int, object]] = {}  # by id, with what keeps the object or tells of its end
        self._next = 0

    def of(self, thing: object) -> int:
        """Return the object's number.

        An object that allows it is not kept alive by that: its end may be what the program waits for.
        """
        identity = id(thing)
        known = self._given.get(identity)
        if known is None:
            number = self._next
            self._next += 1
            given = self._given
            try:
                keeper: object = weakref.ref(thing, lambda _: given.pop(identity, None))
            except TypeError:
                keeper = thing
                self.kept.append(thing)
            known = given[identity] = number, keeper
        return known[0]

    def let_go(self) -> None:
        """Let objects end that nobody else has. Their finalizers run, which are the program's.

        Not all are looked at: whoever makes thousands of containers does not wait for that.
        """
        kept = self.kept
        done = []
        for place in range(len(kept) - 1, max(len(kept) - 1 - MOST_ASKED, -1), -1):
            thing = kept[place]
            if getrefcount(thing) <= ONLY_HERE:
                done.append(thing)
                del kept[place], self._given[id(thing)]
        thing = None
        done.clear()

    def end_early(self) -> None:
        """From now on the schedule decides in which order objects are met."""
        self.early = min(self.early, self._next)

    def forget(self) -> None:
        """Keep nothing alive any more."""
        self._given.clear()
        self.kept.clear()
