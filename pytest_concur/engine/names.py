"""Names of tasks: each stands for one task of the run."""

from __future__ import annotations


class Names:
    """The names given so far in one run."""

    __slots__ = ("_given",)

    def __init__(self) -> None:
        self._given: dict[str, int] = {}  # how many tasks were named so, or so with a number behind

    def unique(self, name: str) -> str:
        """Return the name itself for the first task that asks for it, with a number behind for the others."""
        given, number = self._given, self._given.get(name, 0) + 1
        unique = name if number == 1 else f"{name} {number}"
        while unique in given:
            number += 1
            unique = f"{name} {number}"
        given[name] = number
        given.setdefault(unique, 1)
        return unique
