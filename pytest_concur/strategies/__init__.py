"""Strategies: who hands out the scheduler of each run.

A ``Strategy`` lives across the runs of one test, a ``Scheduler`` (see :mod:`pytest_concur.model.turn`) for one run. All
are pure: they import only ``model``, know no threads and no clock, and run on any machine that asks them questions.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple, Protocol

from pytest_concur.model.schedule import Executed
from pytest_concur.model.turn import Scheduler
from pytest_concur.strategies.pct import DEPTHS, PCT
from pytest_concur.strategies.pos import POS
from pytest_concur.strategies.random_walk import RandomWalk
from pytest_concur.strategies.surw import SURW, Profile
from pytest_concur.strategies.urw import URW, lengths_of


class Seen(Protocol):
    """What a strategy can learn from a run."""

    contested: int
    """Points passed while at least two tasks could run."""

    @property
    def executed(self) -> Executed: ...


class Strategy(Protocol):
    """Across runs: hands out schedulers and learns from what they saw."""

    def scheduler(self, index: int) -> Scheduler:
        """Return the scheduler of schedule number ``index``, from 0; the same for the same index and history."""
        ...

    def sees_operations(self, index: int) -> bool:
        """Whether that scheduler wants to be asked before each operation and to know what each task is about to do."""
        ...

    def learn(self, seen: Seen) -> None:
        """Take note of a finished run."""
        ...


class RandomStrategy:
    """Random walk: uniform and sticky in turn."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        return RandomWalk(self._seeds.generator(index), sticky=index % 2 == 1)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        pass


class PCTStrategy:
    """PCT with cycling depth and learned length."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._length = 0

    def scheduler(self, index: int) -> Scheduler:
        return PCT(self._seeds.generator(index), depth=DEPTHS[index % len(DEPTHS)], length=self._length)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        self._length = max(self._length, seen.contested)


class POSStrategy:
    """Partial order sampling."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        return POS(self._seeds.generator(index))

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: Seen) -> None:
        pass


class URWStrategy:
    """Uniform random walk, with learned lengths."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._lengths: dict[int, int] = {}

    def scheduler(self, index: int) -> Scheduler:
        return URW(self._seeds.generator(index), self._lengths)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        for task, length in lengths_of(seen.executed).items():
            self._lengths[task] = max(self._lengths.get(task, 0), length)


class SURWStrategy:
    """Selectively uniform random walk, with a profile of the schedules before."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._profile = Profile()
        self._latest: SURW | None = None

    def scheduler(self, index: int) -> Scheduler:
        self._latest = SURW(self._seeds.generator(index), self._profile)
        return self._latest

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: Seen) -> None:
        if self._latest is not None:
            self._latest.finish()
            self._latest = None


class Portfolio:
    """Several strategies in turn, so that a cut by time harms none of them."""

    def __init__(self, *parts: Strategy) -> None:
        self._parts = parts

    def scheduler(self, index: int) -> Scheduler:
        return self._part(index).scheduler(index // len(self._parts))

    def sees_operations(self, index: int) -> bool:
        return self._part(index).sees_operations(index // len(self._parts))

    def learn(self, seen: Seen) -> None:
        for part in self._parts:
            part.learn(seen)

    def _part(self, index: int) -> Strategy:
        return self._parts[index % len(self._parts)]


def auto(seed: int) -> Portfolio:
    """Return what serves when the user names no strategy."""
    return Portfolio(PCTStrategy(seed), SURWStrategy(seed + 1), RandomStrategy(seed + 2), POSStrategy(seed + 3))


def blind(seed: int) -> Portfolio:
    """Return what serves where to ask before each operation costs too much, or operations have no places."""
    return Portfolio(PCTStrategy(seed), RandomStrategy(seed + 2))


class _Seeds:
    """One generator, seeded anew for each schedule, so that schedule ``i`` does not depend on those before it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = Random()

    def generator(self, index: int) -> Random:
        self._rng.seed(self._seed << 32 | index)
        return self._rng


STRATEGIES: dict[str, Callable[[int], Strategy]] = {
    "auto": auto,
    "random": RandomStrategy,
    "pct": PCTStrategy,
    "pos": POSStrategy,
    "urw": URWStrategy,
    "surw": SURWStrategy,
}


class Strategies(NamedTuple):
    """What explores one test. Runs of different sizes teach different things: each size has a strategy of its own."""

    usual: Strategy
    focused: Strategy
    """For runs that leave points out."""

    long: Strategy
    """For runs of many points, all of them kept."""

    def without_operations(self) -> Strategies:
        """Return strategies that never ask before each operation."""
        return Strategies(self.long, self.long, self.long) if self.long is not self.usual else self


def make_strategies(name: str, seed: int) -> Strategies:
    """Return the strategies of that name; ``KeyError`` if there are none."""
    make = STRATEGIES[name]
    usual = make(seed)
    return Strategies(usual, make(seed + 10), blind(seed + 20) if name == "auto" else usual)
