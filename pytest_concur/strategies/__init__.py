"""Strategies: who hands out the scheduler of each run.

A ``Strategy`` lives across the runs of one test, a ``Scheduler`` (see :mod:`pytest_concur.model.turn`) for one run. All
are pure: they import only ``model``, know no threads and no clock, and run on any machine that asks them questions.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Protocol

from pytest_concur.model.turn import Scheduler
from pytest_concur.strategies.pct import DEPTHS, PCT
from pytest_concur.strategies.random_walk import RandomWalk


class Strategy(Protocol):
    """Across runs: hands out schedulers and learns from what they saw."""

    def scheduler(self, index: int) -> Scheduler:
        """Return the scheduler of schedule number ``index``, from 0; the same for the same index and history."""
        ...

    def learn(self, contested: int) -> None:
        """Take note of a finished run, by the points it passed while at least two tasks could run."""
        ...


class RandomStrategy:
    """Random walk: uniform and sticky in turn."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        return RandomWalk(self._seeds.generator(index), sticky=index % 2 == 1)

    def learn(self, contested: int) -> None:
        pass


class PCTStrategy:
    """PCT with cycling depth and learned length."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)
        self._length = 0

    def scheduler(self, index: int) -> Scheduler:
        return PCT(self._seeds.generator(index), depth=DEPTHS[index % len(DEPTHS)], length=self._length)

    def learn(self, contested: int) -> None:
        self._length = max(self._length, contested)


class Portfolio:
    """``auto``: the strategies there are, in turn, so that a cut by time harms none of them."""

    def __init__(self, seed: int) -> None:
        self._parts: tuple[Strategy, ...] = (PCTStrategy(seed), RandomStrategy(seed + 1))

    def scheduler(self, index: int) -> Scheduler:
        return self._parts[index % len(self._parts)].scheduler(index // len(self._parts))

    def learn(self, contested: int) -> None:
        for part in self._parts:
            part.learn(contested)


class _Seeds:
    """One generator, seeded anew for each schedule, so that schedule ``i`` does not depend on those before it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = Random()

    def generator(self, index: int) -> Random:
        self._rng.seed(self._seed << 32 | index)
        return self._rng


STRATEGIES: dict[str, Callable[[int], Strategy]] = {"auto": Portfolio, "random": RandomStrategy, "pct": PCTStrategy}


def make_strategy(name: str, seed: int) -> Strategy:
    """Return the strategy of that name; ``KeyError`` if there is none."""
    return STRATEGIES[name](seed)
