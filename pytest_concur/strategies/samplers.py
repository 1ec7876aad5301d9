"""Strategies that sample by chance: each hands out schedulers seeded by the schedule's number."""

from __future__ import annotations

from random import Random

from pytest_concur.model.turn import Scheduler
from pytest_concur.strategies.pct import DEPTHS, PCT
from pytest_concur.strategies.pos import POS
from pytest_concur.strategies.random_walk import RandomWalk
from pytest_concur.strategies.strategy import Seen
from pytest_concur.strategies.surw import SURW, Profile
from pytest_concur.strategies.swarm import Swarm
from pytest_concur.strategies.urw import URW, lengths_of


class _Endless:
    """What samples by chance is never through."""

    is_exhausted = False
    trouble: str | None = None


class RandomStrategy(_Endless):
    """Random walk: uniform, sticky and with weights in turn."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        generator = self._seeds.generator(index)
        kind = index % 4
        return Swarm(generator) if kind == 3 else RandomWalk(generator, sticky=kind == 1)

    def sees_operations(self, index: int) -> bool:
        return False

    def learn(self, seen: Seen) -> None:
        pass


class PCTStrategy(_Endless):
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


class POSStrategy(_Endless):
    """Partial order sampling."""

    def __init__(self, seed: int) -> None:
        self._seeds = _Seeds(seed)

    def scheduler(self, index: int) -> Scheduler:
        return POS(self._seeds.generator(index))

    def sees_operations(self, index: int) -> bool:
        return True

    def learn(self, seen: Seen) -> None:
        pass


class URWStrategy(_Endless):
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


class SURWStrategy(_Endless):
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


class _Seeds:
    """One generator, seeded anew for each schedule, so that schedule ``i`` does not depend on those before it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng = Random()

    def generator(self, index: int) -> Random:
        self._rng.seed(self._seed << 32 | index)
        return self._rng
