"""Leave out the points that touch only what one task uses: in half of the schedules, once the first ones found nothing.

Chance spends its switches on all points alike, and most accesses of a large library are to objects of one task. Two
sequential runs are observed, point by point: which place was touched by which task, and was it written? A point all of
whose places were private to one task, or only read, is muted. What runs only under other schedules keeps its points,
and every other schedule keeps them all; so nothing is lost, only weighted.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pytest_concur.engine.operations import CONTAINERS, IMMUTABLE, containers_behind, is_a
from pytest_concur.explore.trial import Laboratory
from pytest_concur.instrument.points import WRITING_METHODS
from pytest_concur.instrument.rewrite import Site
from pytest_concur.strategies.sequential import Sequential

FOCUS_FROM = 16
"""Schedules run before the question is asked."""

LEAST_POINTS = 40
"""Contested points below which there is nothing to gain."""

MOST_UNITS = 400
"""Code objects above which rewriting all of them once more would cost more than it brings."""


def is_worth_focusing(lab: Laboratory, contested: int) -> bool:
    return lab.settings.granularity == "access" and contested >= LEAST_POINTS and lab.patch.user_units <= MOST_UNITS


def focus(lab: Laboratory) -> None:
    """Observe the sequential runs and mute what is private."""
    census = Census()
    for rank in (lambda task: task, lambda task: -task):
        run = census.new_run()
        lab.run(
            lambda rank=rank: Sequential(rank),  # type: ignore[misc]
            mode=lab.mode(flavour="observe"),
            sleeps_through=lab.sleeps_through,
            observer=lambda placeholder, values, run=run: run.note(lab.running_task(), placeholder, values),  # type: ignore[misc]
            on_attempt=run.forget,
        )
        run.count()
    lab.patch.mute(census.private())


class Census:
    """Which sites touched places that several tasks use."""

    def __init__(self) -> None:
        self.seen: set[Site] = set()
        self.shared: set[Site] = set()

    def new_run(self) -> _Run:
        return _Run(self)

    def private(self) -> frozenset[Site]:
        return frozenset(self.seen - self.shared)


class _Run:
    """Accesses of one run; identities are good only while it is going on."""

    def __init__(self, census: Census) -> None:
        self._census = census
        self._keep: list[Any] = []  # so that no identity is used again
        self._sites: dict[Site, set[Hashable]] = {}
        self._tasks: dict[Hashable, set[int]] = {}
        self._written: set[Hashable] = set()

    def forget(self) -> None:
        """The run starts over."""
        self.__init__(self._census)  # type: ignore[misc]

    def note(self, task: int | None, placeholder: tuple[Any, ...], values: tuple[Any, ...]) -> None:
        """One access; ``task`` is ``None`` while the body is alone."""
        _, _, kind, name, writes, site = placeholder
        if task is None:
            return
        self._census.seen.add(site)
        if kind == "system":
            self._census.shared.add(site)
        if kind == "builtin" and name in WRITING_METHODS and not (values and is_a(values[0], CONTAINERS)):
            self._census.shared.add(site)  # which attribute, or what behind an iterator, is not known here
        self._keep.append(values)
        for place in self._places(kind, name, values, site):
            self._sites.setdefault(site, set()).add(place)
            self._tasks.setdefault(place, set()).add(task)
            if writes:
                self._written.add(place)

    def count(self) -> None:
        """The run is over: take over what it showed."""
        for site, places in self._sites.items():
            if any(len(self._tasks[place]) > 1 and place in self._written for place in places):
                self._census.shared.add(site)
        self._keep.clear()

    def _places(self, kind: str, name: str, values: tuple[Any, ...], site: Site) -> list[Hashable]:
        """Return what identifies the places that an access touches."""
        if kind == "global":
            return [(kind, site[0].split(":")[0], name)]
        if kind in ("resume", "jump", "system") or not values:
            return []
        owner = values[0]
        if kind == "attribute":
            return [(id(owner), name)]
        if kind == "iterate":
            inside = containers_behind(owner) or []
            self._keep.append(inside)
            return [id(each) for each in inside] or [id(owner)]
        if is_a(owner, IMMUTABLE):
            return []
        return [id(owner)]
